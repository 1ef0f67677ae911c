// ShardCache: the index of every shard of one array, loaded at its first use and kept.
//
// find() is lock-free, since gathers call it for every cell. get() makes two askers of one shard share one load; a
// load that fails is not remembered, and the next asker tries again. Indexes stay until the cache goes: 16 bytes per
// chunk, about 1/500 of the chunks themselves.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <vector>

#include "homeobox/base/buffer.h"
#include "homeobox/zarr/shard_index.h"

namespace hox::zarr {

struct LoadedShard {
  // The whole object where the store gives views, else empty.
  Buffer object;
  // By slot; empty when there is no such object.
  std::vector<ChunkExtent> extents;
};

class ShardCache {
 public:
  static constexpr std::uint64_t kMaxShards = std::uint64_t{1} << 28;

  // The caller guarantees n_shards <= kMaxShards.
  explicit ShardCache(std::uint64_t n_shards);

  // The caller guarantees shard < n_shards. nullptr: not loaded yet.
  const LoadedShard* find(std::uint64_t shard) const noexcept {
    return std::atomic_ref(table_[shard]).load(std::memory_order_acquire);
  }

  // `load` may block. Throws what it throws, and Cancelled.
  const LoadedShard& get(std::uint64_t shard, const std::function<LoadedShard()>& load, const std::stop_token& stop);

 private:
  struct Free {
    void operator()(const LoadedShard** table) const noexcept;
  };

  std::unique_ptr<const LoadedShard*[], Free> table_;
  std::mutex mutex_;  // guards what follows, and writes to the table
  std::condition_variable_any changed_;
  std::set<std::uint64_t> loading_;
  std::vector<std::unique_ptr<const LoadedShard>> owned_;
};

}  // namespace hox::zarr
