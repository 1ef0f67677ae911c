// bytes: the elements as they are, little or big endian (zarr v3 core).
//
// A missing "endian" means little, as zarr-python reads it; elements of one byte have none.
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

// Throws InvalidArgument for a configuration that cannot be right for these chunks.
std::shared_ptr<const ArrayToBytesCodec> make_bytes(const nlohmann::json& configuration, const ChunkSpec& chunk);

}  // namespace hox::codec
