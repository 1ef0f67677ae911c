#include "homeobox/zarr/shard_encoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "homeobox/zarr/box.h"
#include "homeobox/zarr/shard_index.h"

namespace hox::zarr {

ShardEncoder::ShardEncoder(const ArrayMetadata& metadata, const codec::CodecChain& chain, const ChunkGrid& grid)
    : metadata_(metadata), chain_(chain), grid_(grid), shards_per_row_(grid.shards_per_row()) {}

void ShardEncoder::start(std::uint64_t first_shard) {
  first_shard_ = first_shard;
  chunks_.assign(shards_per_row_ * grid_.chunks_per_shard(), std::nullopt);
}

bool ShardEncoder::is_fill(std::span<const std::byte> elements) const {
  const std::span<const std::byte> fill(metadata_.fill_value);
  // Equal to itself shifted by one element, after the first: one memcmp for any width.
  return std::equal(fill.begin(), fill.end(), elements.begin()) &&
         std::memcmp(elements.data(), elements.data() + fill.size(), elements.size() - fill.size()) == 0;
}

codec::Bytes ShardEncoder::encode(std::span<const std::byte> chunk) const {
  thread_local codec::Scratch scratch;
  thread_local codec::Bytes encoded;
  chain_.encode(chunk, encoded, scratch);
  // A copy of the exact size: encoders reserve for the worst case, and a shard's chunks wait here together.
  return codec::Bytes(encoded.begin(), encoded.end());
}

void ShardEncoder::encode_chunk(std::uint64_t chunk, std::span<const std::byte> rows, std::uint64_t row_begin,
                                std::uint64_t row_end) {
  const std::size_t rank = grid_.rank();
  const Coordinates position = grid_.chunk_coordinates(chunk);
  Coordinates rows_shape = grid_.shape();
  rows_shape[0] = row_end - row_begin;
  Coordinates source_begin(rank);
  Coordinates extents(rank);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::uint64_t chunk_begin = position[axis] * grid_.chunk_shape()[axis];
    extents[axis] = std::min(grid_.chunk_shape()[axis], grid_.shape()[axis] - chunk_begin);
    source_begin[axis] = axis == 0 ? chunk_begin - row_begin : chunk_begin;
  }
  const Placement source{rows_shape, source_begin};
  const std::size_t width = metadata_.fill_value.size();
  const std::uint64_t chunk_bytes = grid_.chunk_elements() * width;

  std::span<const std::byte> whole;
  thread_local codec::Bytes gathered;
  if (extents == grid_.chunk_shape() && is_contiguous(extents, rows_shape)) {
    whole = rows.subspan(first_element(source) * width, chunk_bytes);
  } else {
    gathered.resize(chunk_bytes);
    if (extents != grid_.chunk_shape()) fill_elements(metadata_.fill_value, gathered.data(), grid_.chunk_elements());
    const Coordinates origin(rank, 0);
    copy_box(rows.data(), source, gathered.data(), {grid_.chunk_shape(), origin}, extents, width);
    whole = gathered;
  }
  if (is_fill(whole)) return;
  const ChunkLocation location = grid_.locate(chunk);
  chunks_[(location.shard - first_shard_) * grid_.chunks_per_shard() + location.slot] = encode(whole);
}

std::optional<codec::Bytes> ShardEncoder::take_object(std::uint64_t shard) {
  const std::uint64_t n_slots = grid_.chunks_per_shard();
  const std::span slots = std::span(chunks_).subspan((shard - first_shard_) * n_slots, n_slots);
  if (!metadata_.is_sharded) return std::exchange(slots[0], std::nullopt);
  if (std::none_of(slots.begin(), slots.end(), [](const auto& chunk) { return chunk.has_value(); })) {
    codec::Bytes fill(grid_.chunk_elements() * metadata_.fill_value.size());
    fill_elements(metadata_.fill_value, fill.data(), grid_.chunk_elements());
    slots[0] = encode(fill);
  }
  const ShardIndexEncoding& index_encoding = metadata_.index_encoding;
  const std::uint64_t index_bytes = shard_index_bytes(n_slots, index_encoding);
  std::vector<ChunkExtent> extents(n_slots);
  std::uint64_t offset = index_encoding.at_end ? 0 : index_bytes;
  for (std::size_t slot = 0; slot < n_slots; ++slot) {
    if (!slots[slot]) continue;
    extents[slot] = {offset, slots[slot]->size()};
    offset += slots[slot]->size();
  }
  const codec::Bytes index = encode_shard_index(extents, index_encoding);
  codec::Bytes object;
  object.reserve(offset + (index_encoding.at_end ? index_bytes : 0));
  if (!index_encoding.at_end) object.insert(object.end(), index.begin(), index.end());
  for (auto& chunk : slots) {
    if (!chunk) continue;
    object.insert(object.end(), chunk->begin(), chunk->end());
    chunk.reset();
  }
  if (index_encoding.at_end) object.insert(object.end(), index.begin(), index.end());
  return object;
}

}  // namespace hox::zarr
