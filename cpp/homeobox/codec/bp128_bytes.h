// The modes of homeobox.bp128 that hold a chunk as a whole: constant, raw, zstd and zstd_delta.
//
// They cost a decoder the entire chunk. The checksum follows the header and covers header and body.
#pragma once

#include <span>
#include <vector>

#include "homeobox/codec/bp128_layout.h"
#include "homeobox/codec/codec.h"

namespace hox::codec::bp128 {

// --- encoding: each appends one encoded chunk ---

// `element` is the bytes of the one repeated element; empty for a chunk without elements.
void append_constant(std::span<const std::byte> element, Bytes& out);
// The smaller of raw and zstd.
void append_bytes(const ChunkSpec& spec, std::span<const std::byte> values, Bytes& out);
// `fields`: one byte per delta field; `header` is that of mode delta.
void append_zstd_delta(Header header, std::span<const std::byte> fields, Bytes& out);

// --- decoding: each verifies the checksum of the whole ---

// Any number of elements.

void decode_constant(const Header& header, std::span<const std::byte> encoded, const ChunkSpec& spec,
                     std::span<std::byte> out);
// The elements from `begin` on that fill `out`.
void decode_raw(const Header& header, std::span<const std::byte> encoded, const ChunkSpec& spec, std::uint64_t begin,
                std::span<std::byte> out);
// All elements.
void decode_zstd(const Header& header, std::span<const std::byte> encoded, const ChunkSpec& spec,
                 std::span<std::byte> out);
void decode_zstd_delta(const Header& header, std::span<const std::byte> encoded, const ChunkSpec& spec,
                       std::span<std::byte> out);

}  // namespace hox::codec::bp128
