#include "homeobox/zarr/shard_index.h"

#include <algorithm>
#include <numeric>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/codec/kernels/crc32c.h"

namespace hox::zarr {
namespace {

constexpr std::uint64_t kEntryBytes = 16;
constexpr std::uint64_t kChecksumBytes = 4;

template <class Word>
Word load(const std::byte* bytes, bool big_endian) noexcept {
  Word word = 0;
  for (std::size_t i = 0; i < sizeof(Word); ++i) {
    const std::size_t shift = 8 * (big_endian ? sizeof(Word) - 1 - i : i);
    word |= std::to_integer<Word>(bytes[i]) << shift;
  }
  return word;
}

template <class Word>
void store(Word word, bool big_endian, std::byte* bytes) noexcept {
  for (std::size_t i = 0; i < sizeof(Word); ++i) {
    const std::size_t shift = 8 * (big_endian ? sizeof(Word) - 1 - i : i);
    bytes[i] = static_cast<std::byte>(word >> shift);
  }
}

void check_extent(std::uint64_t chunk, const ChunkExtent& extent, std::uint64_t data_begin, std::uint64_t data_end,
                  std::uint64_t max_chunk_bytes) {
  const auto end = checked_add(extent.begin, extent.n_bytes);
  if (!end || extent.begin < data_begin || *end > data_end)
    fail<CorruptData>("index entry {}: offset {} and length {} leave the bytes {} to {} that hold chunks", chunk,
                      extent.begin, extent.n_bytes, data_begin, data_end);
  if (extent.n_bytes > max_chunk_bytes)
    fail<CorruptData>("index entry {}: at most {} bytes expected for a chunk, found {}", chunk, max_chunk_bytes,
                      extent.n_bytes);
}

void check_overlaps(const std::vector<ChunkExtent>& extents) {
  // Writers almost always store chunks in order, so look before sorting.
  std::uint64_t end = 0;
  bool ascending = true;
  for (const ChunkExtent& extent : extents) {
    if (!extent.present()) continue;
    ascending = ascending && extent.begin >= end;
    end = extent.end();
  }
  if (ascending) return;
  std::vector<std::size_t> order(extents.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t chunk) { return !extents[chunk].present() || extents[chunk].n_bytes == 0; });
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return extents[a].begin < extents[b].begin; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const ChunkExtent& before = extents[order[i - 1]];
    const ChunkExtent& after = extents[order[i]];
    if (after.begin < before.end())
      fail<CorruptData>("index entries {} and {} overlap: bytes {} to {} and {} to {}", order[i - 1], order[i],
                        before.begin, before.end(), after.begin, after.end());
  }
}

}  // namespace

std::uint64_t shard_index_bytes(std::uint64_t n_chunks, const ShardIndexEncoding& encoding) {
  const auto table = checked_multiply(n_chunks, kEntryBytes);
  const auto total = table ? checked_add(*table, encoding.has_crc32c ? kChecksumBytes : 0) : std::nullopt;
  if (!total) fail<InvalidArgument>("a shard of {} chunks is too large for an index", n_chunks);
  return *total;
}

std::vector<ChunkExtent> parse_shard_index(std::span<const std::byte> bytes, std::uint64_t n_chunks,
                                           const ShardIndexEncoding& encoding, std::uint64_t object_bytes,
                                           std::uint64_t max_chunk_bytes) {
  const std::uint64_t index_bytes = shard_index_bytes(n_chunks, encoding);
  if (bytes.size() != index_bytes || object_bytes < index_bytes)
    fail<CorruptData>("an index of {} bytes expected, the object holds {}", index_bytes,
                      std::min<std::uint64_t>(bytes.size(), object_bytes));
  const std::span<const std::byte> table = bytes.first(n_chunks * kEntryBytes);
  if (encoding.has_crc32c) {
    const auto stored = load<std::uint32_t>(bytes.data() + table.size(), false);
    const std::uint32_t computed = codec::crc32c(table);
    if (stored != computed) fail<CorruptData>("index checksum {:08x} stored, {:08x} computed", stored, computed);
  }
  const std::uint64_t data_begin = encoding.at_end ? 0 : index_bytes;
  const std::uint64_t data_end = encoding.at_end ? object_bytes - index_bytes : object_bytes;
  std::vector<ChunkExtent> extents(n_chunks);
  for (std::uint64_t chunk = 0; chunk < n_chunks; ++chunk) {
    const std::byte* entry = table.data() + chunk * kEntryBytes;
    const ChunkExtent extent{load<std::uint64_t>(entry, encoding.big_endian),
                             load<std::uint64_t>(entry + 8, encoding.big_endian)};
    // Absent is both words; one alone is no valid offset or length and fails the check.
    if (extent.begin == ChunkExtent::kAbsent && extent.n_bytes == ChunkExtent::kAbsent) continue;
    check_extent(chunk, extent, data_begin, data_end, max_chunk_bytes);
    extents[chunk] = extent;
  }
  check_overlaps(extents);
  return extents;
}

std::vector<std::byte> encode_shard_index(std::span<const ChunkExtent> extents, const ShardIndexEncoding& encoding) {
  std::vector<std::byte> bytes(shard_index_bytes(extents.size(), encoding));
  std::byte* entry = bytes.data();
  for (const ChunkExtent& extent : extents) {
    store(extent.begin, encoding.big_endian, entry);
    store(extent.n_bytes, encoding.big_endian, entry + 8);
    entry += kEntryBytes;
  }
  if (encoding.has_crc32c) store(codec::crc32c(std::span(bytes).first(extents.size() * kEntryBytes)), false, entry);
  return bytes;
}

}  // namespace hox::zarr
