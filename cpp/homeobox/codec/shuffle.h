// numcodecs.shuffle: byte k of every element, for k = 0, 1, ..., so that similar bytes are neighbours.
//
// A missing "elementsize" is the size of the array's dtype, as in zarr-python.
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

// Throws InvalidArgument for a configuration that cannot be right for these chunks.
std::shared_ptr<const BytesToBytesCodec> make_shuffle(const nlohmann::json& configuration, const ChunkSpec& chunk);

}  // namespace hox::codec
