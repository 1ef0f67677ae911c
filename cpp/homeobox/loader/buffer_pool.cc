#include "homeobox/loader/buffer_pool.h"

#include <algorithm>
#include <utility>

namespace hox::loader {
namespace {

// Batches differ a little in size; room to spare lets one's memory serve the next.
std::uint64_t with_headroom(std::uint64_t n_bytes) noexcept { return n_bytes + n_bytes / 8 + 4096; }

}  // namespace

std::shared_ptr<RawBuffer> BufferPool::lease(std::uint64_t n_bytes, std::uint64_t beside_bytes) {
  return take(n_bytes, beside_bytes, false);
}

std::shared_ptr<RawBuffer> BufferPool::lease_beyond_budget(std::uint64_t n_bytes) { return take(n_bytes, 0, true); }

std::shared_ptr<void> BufferPool::charge(std::uint64_t n_bytes) {
  std::vector<RawBuffer> dropped;  // freed without the lock
  {
    const std::lock_guard lock(mutex_);
    make_room(n_bytes, dropped);
    used_bytes_ += n_bytes;
  }
  return {nullptr, [pool = shared_from_this(), n_bytes](void*) {
            const std::lock_guard released(pool->mutex_);
            pool->used_bytes_ -= n_bytes;
          }};
}

void BufferPool::make_room(std::uint64_t n_bytes, std::vector<RawBuffer>& dropped) {
  while (!idle_.empty() && used_bytes_ + idle_bytes_ + n_bytes > budget_bytes_) {
    idle_bytes_ -= idle_.front().size();
    dropped.push_back(std::move(idle_.front()));
    idle_.erase(idle_.begin());
  }
}

std::uint64_t BufferPool::bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  return used_bytes_;
}

std::uint64_t BufferPool::bytes_idle() const {
  const std::lock_guard lock(mutex_);
  return idle_bytes_;
}

std::shared_ptr<RawBuffer> BufferPool::take(std::uint64_t n_bytes, std::uint64_t beside_bytes, bool beyond_budget) {
  RawBuffer buffer;
  std::vector<RawBuffer> dropped;  // freed without the lock
  {
    const std::lock_guard lock(mutex_);
    // The one that came back last is the warmest.
    const auto fits = std::find_if(idle_.rbegin(), idle_.rend(),
                                   [n_bytes](const RawBuffer& candidate) { return candidate.size() >= n_bytes; });
    const std::uint64_t needed = fits != idle_.rend() ? fits->size() : with_headroom(n_bytes);
    if (used_bytes_ + needed + beside_bytes > budget_bytes_ && used_bytes_ != 0 && !beyond_budget) return nullptr;
    if (fits != idle_.rend()) {
      buffer = std::move(*fits);
      idle_bytes_ -= buffer.size();
      idle_.erase(std::next(fits).base());
    } else {
      make_room(needed, dropped);
    }
    used_bytes_ += needed;
  }
  dropped.clear();
  if (buffer.data() == nullptr) {
    try {
      buffer = RawBuffer(with_headroom(n_bytes));
    } catch (...) {
      const std::lock_guard lock(mutex_);
      used_bytes_ -= with_headroom(n_bytes);
      throw;
    }
  }
  return {new RawBuffer(std::move(buffer)), [pool = shared_from_this()](RawBuffer* leased) {
            pool->give_back(std::move(*leased));
            delete leased;
          }};
}

void BufferPool::give_back(RawBuffer buffer) {
  const std::lock_guard lock(mutex_);
  used_bytes_ -= buffer.size();
  if (used_bytes_ + idle_bytes_ + buffer.size() > budget_bytes_) return;
  idle_bytes_ += buffer.size();
  idle_.push_back(std::move(buffer));
}

}  // namespace hox::loader
