// numcodecs.fixedscaleoffset: stores round((x - offset) * scale) as another type, reads stored / scale + offset.
//
// Arithmetic and rounding follow NumPy, as numcodecs does it. Unlike there, integers do not wrap, and a value that does
// not fit the target type is an error (InvalidArgument when writing, CorruptData when reading), not some number.
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

// Throws InvalidArgument for a configuration that cannot be right for these chunks.
std::shared_ptr<const ArrayToArrayCodec> make_fixedscaleoffset(const nlohmann::json& configuration,
                                                               const ChunkSpec& chunk);

}  // namespace hox::codec
