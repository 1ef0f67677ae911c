// Decoder of homeobox.bp128: whole chunks, or just the blocks under a range of elements.
//
// Verifies the checksum of each group that it touches, then decodes blocks straight into the caller's memory. Never
// allocates more than the chunk's own size. Malformed bytes are CorruptData.
#pragma once

#include <span>

#include "homeobox/codec/codec.h"

namespace hox::codec::bp128 {

// Elements [begin, end) of the chunk into `out`, which is aligned for the element type.
// Cost: one checksum per touched group of 512 elements and one unpacking per touched block; the whole chunk in the
// modes zstd and zstd_delta, its checksum in mode raw.
void decode_range(const ChunkSpec& spec, std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end,
                  std::byte* out);

// False for the modes that must be decompressed as a whole.
bool decodes_ranges(std::span<const std::byte> encoded) noexcept;

// Asks for the cache lines of the groups that decode_range would read.
void prefetch_range(std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end) noexcept;

}  // namespace hox::codec::bp128
