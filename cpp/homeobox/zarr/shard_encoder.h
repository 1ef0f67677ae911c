// ShardEncoder: the chunks of one row of shards (all shards that share a position on axis 0), encoded and put
// together into objects. No I/O.
//
// Chunks may be encoded from several threads, each chunk once; take_object() is for one thread, after all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "homeobox/codec/chain.h"
#include "homeobox/zarr/chunk_grid.h"
#include "homeobox/zarr/metadata.h"

namespace hox::zarr {

class ShardEncoder {
 public:
  // The three must outlive this.
  ShardEncoder(const ArrayMetadata& metadata, const codec::CodecChain& chain, const ChunkGrid& grid);

  // Forgets all chunks; the shards from `first_shard` on come next.
  void start(std::uint64_t first_shard);

  // Encodes `chunk` from rows [row_begin, row_end) of the array, which hold it as far as it lies in the array.
  void encode_chunk(std::uint64_t chunk, std::span<const std::byte> rows, std::uint64_t row_begin,
                    std::uint64_t row_end);

  // The bytes of an object; nullopt for an unsharded chunk that is all fill value. Frees the chunks.
  std::optional<codec::Bytes> take_object(std::uint64_t shard);

 private:
  bool is_fill(std::span<const std::byte> elements) const;
  codec::Bytes encode(std::span<const std::byte> chunk) const;

  const ArrayMetadata& metadata_;
  const codec::CodecChain& chain_;
  const ChunkGrid& grid_;
  std::uint64_t shards_per_row_;
  std::uint64_t first_shard_ = 0;
  // By (shard - first_shard_) * chunks per shard + slot; nullopt: absent.
  std::vector<std::optional<codec::Bytes>> chunks_;
};

}  // namespace hox::zarr
