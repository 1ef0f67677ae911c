// homeobox.bitpacking: the bytes-to-bytes codec of homeobox 0.2.2 (element size 4) and its 64-bit extension (8).
//
// Configuration: {"transform": "none" | "delta" | "delta_zigzag", "element_size": 4 | 8}. The stream names its own
// transform, so chunks of one array may differ; "adaptive": true, known to writers only and never stored, lets the
// encoder use that freedom and pick the smallest per chunk. No checksum: put crc32c behind it. FORMAT.md,
// "homeobox.bitpacking".
//
// A delta chunk is one chain, but a range in it decodes by adding up the blocks before it without storing them.
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

std::shared_ptr<const BytesToBytesCodec> make_bitpacking(const nlohmann::json& configuration, const ChunkSpec& chunk);

}  // namespace hox::codec
