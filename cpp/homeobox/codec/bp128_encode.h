// Encoder of homeobox.bp128: picks the smallest mode for a chunk and writes it.
//
// The mode is chosen on a sample of groups, so a chunk is transformed once or twice, not once per candidate.
#pragma once

#include <span>

#include "homeobox/codec/codec.h"

namespace hox::codec::bp128 {

// Appends the encoded chunk; `values.size()` is spec.bytes().
void encode_chunk(const ChunkSpec& spec, std::span<const std::byte> values, Bytes& out);

}  // namespace hox::codec::bp128
