// crc32c: four bytes of checksum, little endian, after the bytes that they cover (zarr v3 core).
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

// Throws InvalidArgument for a configuration that cannot be right for these chunks.
std::shared_ptr<const BytesToBytesCodec> make_crc32c(const nlohmann::json& configuration, const ChunkSpec& chunk);

}  // namespace hox::codec
