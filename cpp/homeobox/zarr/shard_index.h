// Shard index: where each chunk of one shard lies.
//
// A shard holds encoded chunks plus a table of (offset, length) in C order of its chunks, at its end or start, with
// an optional crc32c. This file parses and writes that table; fetching is zarr/array.h.
//
// After parse(), each entry is absent or lies inside the object, outside the table, and no two overlap. Gaps and any
// order are fine. Immutable, so it may be shared between threads.
// Fails with CorruptData, naming the entry; the array adds which shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hox::zarr {

struct ShardIndexEncoding {
  bool at_end = true;
  bool big_endian = false;
  bool has_crc32c = true;
};

// Bytes of one chunk inside its shard. An absent chunk is all fill value.
struct ChunkExtent {
  static constexpr std::uint64_t kAbsent = ~std::uint64_t{0};

  std::uint64_t begin = kAbsent;
  std::uint64_t n_bytes = kAbsent;

  bool present() const noexcept { return begin != kAbsent; }
  std::uint64_t end() const noexcept { return begin + n_bytes; }
};

// Size of the stored table. Throws InvalidArgument when it overflows.
std::uint64_t shard_index_bytes(std::uint64_t n_chunks, const ShardIndexEncoding& encoding);

// `bytes` is the stored table of a shard with `n_chunks` chunks in an object of `object_bytes` bytes. An extent longer
// than `max_chunk_bytes` is refused.
std::vector<ChunkExtent> parse_shard_index(std::span<const std::byte> bytes, std::uint64_t n_chunks,
                                           const ShardIndexEncoding& encoding, std::uint64_t object_bytes,
                                           std::uint64_t max_chunk_bytes);

// The table as parse_shard_index() reads it. Offsets count from the start of the object.
std::vector<std::byte> encode_shard_index(std::span<const ChunkExtent> extents, const ShardIndexEncoding& encoding);

}  // namespace hox::zarr
