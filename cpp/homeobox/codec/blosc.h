// blosc: one c-blosc 1 buffer (zarr v3 core). Always single-threaded: chunks are the unit of parallel work.
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

// Throws InvalidArgument for a configuration that cannot be right for these chunks.
std::shared_ptr<const BytesToBytesCodec> make_blosc(const nlohmann::json& configuration, const ChunkSpec& chunk);

}  // namespace hox::codec
