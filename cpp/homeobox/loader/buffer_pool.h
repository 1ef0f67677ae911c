// BufferPool: the memory of a loader's batches, used again and again under a budget in bytes.
//
// A batch's memory comes back when its last reference is gone, be that ours or an array that the user kept. Fresh
// memory costs page faults that exceed the decoding of small batches; memory that was used a moment ago is warm. The
// pool counts what is in use and what lies idle, and lets go of idle memory before it exceeds the budget.
//
// Thread-safe. Leases may outlive the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "homeobox/base/raw_buffer.h"

namespace hox::loader {

class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  explicit BufferPool(std::uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  // Memory of at least `n_bytes`. nullptr when it, and `beside_bytes` to be charged soon, would exceed the budget,
  // unless nothing is in use: then a batch that is larger than the budget still gets its memory, and a loader cannot
  // come to a halt.
  std::shared_ptr<RawBuffer> lease(std::uint64_t n_bytes, std::uint64_t beside_bytes = 0);
  // The same, whatever the budget says.
  std::shared_ptr<RawBuffer> lease_beyond_budget(std::uint64_t n_bytes);

  // Counts memory that somebody else has, as what was fetched for a batch, as in use until the charge goes. Never
  // refused; makes room by letting go of idle memory.
  std::shared_ptr<void> charge(std::uint64_t n_bytes);

  std::uint64_t bytes_in_use() const;
  std::uint64_t bytes_idle() const;

 private:
  std::shared_ptr<RawBuffer> take(std::uint64_t n_bytes, std::uint64_t beside_bytes, bool beyond_budget);
  // Moves idle memory to `dropped` until `n_bytes` more fit in the budget, or none is left.
  void make_room(std::uint64_t n_bytes, std::vector<RawBuffer>& dropped);
  void give_back(RawBuffer buffer);

  const std::uint64_t budget_bytes_;
  mutable std::mutex mutex_;  // guards the rest
  std::vector<RawBuffer> idle_;
  std::uint64_t idle_bytes_ = 0;
  std::uint64_t used_bytes_ = 0;
};

}  // namespace hox::loader
