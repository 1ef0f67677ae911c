#include "homeobox/zarr/shard_cache.h"

#include <cstdlib>
#include <new>
#include <utility>

#include "homeobox/base/interrupt.h"

namespace hox::zarr {
void ShardCache::Free::operator()(const LoadedShard** table) const noexcept { std::free(table); }

ShardCache::ShardCache(std::uint64_t n_shards) {
  // calloc takes zero pages from the system, so a large table costs memory only where shards are used.
  auto** table = static_cast<const LoadedShard**>(std::calloc(n_shards + 1, sizeof(const LoadedShard*)));
  if (table == nullptr) throw std::bad_alloc();
  table_.reset(table);
}

const LoadedShard& ShardCache::get(std::uint64_t shard, const std::function<LoadedShard()>& load,
                                   const std::stop_token& stop) {
  if (const LoadedShard* loaded = find(shard)) return *loaded;
  std::unique_lock lock(mutex_);
  interruptible_wait(changed_, lock, stop, [&] { return !loading_.contains(shard); });
  if (const LoadedShard* loaded = find(shard)) return *loaded;
  loading_.insert(shard);
  lock.unlock();
  std::unique_ptr<const LoadedShard> fresh;
  try {
    fresh = std::make_unique<const LoadedShard>(load());
  } catch (...) {
    lock.lock();
    loading_.erase(shard);
    changed_.notify_all();
    throw;
  }
  lock.lock();
  loading_.erase(shard);
  owned_.push_back(std::move(fresh));
  std::atomic_ref(table_[shard]).store(owned_.back().get(), std::memory_order_release);
  changed_.notify_all();
  return *owned_.back();
}

}  // namespace hox::zarr
