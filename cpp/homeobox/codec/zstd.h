// zstd: RFC 8878 frames, one or more; level 0 is the library's default, an optional checksum per frame.
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

// Throws InvalidArgument for a configuration that cannot be right for these chunks.
std::shared_ptr<const BytesToBytesCodec> make_zstd(const nlohmann::json& configuration, const ChunkSpec& chunk);

}  // namespace hox::codec
