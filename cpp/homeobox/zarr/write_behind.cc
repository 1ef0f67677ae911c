#include "homeobox/zarr/write_behind.h"

#include <utility>

#include "homeobox/base/interrupt.h"
#include "homeobox/base/runtime.h"

namespace hox::zarr {

WriteBehind::~WriteBehind() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return in_flight_ == 0; });
}

void WriteBehind::write(std::string key, std::vector<std::byte> bytes) {
  wait_for(kMaxInFlight - 1);
  {
    const std::lock_guard lock(mutex_);
    ++in_flight_;
  }
  // A task must not wait for its own pool.
  if (Runtime::io().owns_current_thread()) return write_now(key, bytes);
  // std::function wants to copy its target, which a vector of this size should not be.
  auto object =
      std::make_shared<const std::pair<std::string, std::vector<std::byte>>>(std::move(key), std::move(bytes));
  try {
    Runtime::io().submit([this, object = std::move(object)] { write_now(object->first, object->second); });
  } catch (...) {
    const std::lock_guard lock(mutex_);
    --in_flight_;
    throw;
  }
}

void WriteBehind::wait() { wait_for(0); }

void WriteBehind::write_now(const std::string& key, const std::vector<std::byte>& bytes) noexcept {
  std::exception_ptr failure;
  try {
    const bool failed_before = [&] {
      const std::lock_guard lock(mutex_);
      return failure_ != nullptr;
    }();
    if (!failed_before) store_->write(key, bytes);
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  if (failure_ == nullptr) failure_ = failure;
  --in_flight_;
  // Under the lock: the destructor may run as soon as it is released.
  changed_.notify_all();
}

void WriteBehind::wait_for(std::size_t most_in_flight) {
  std::unique_lock lock(mutex_);
  interruptible_wait(changed_, lock, {}, [&] { return in_flight_ <= most_in_flight || failure_ != nullptr; });
  if (failure_ != nullptr) std::rethrow_exception(failure_);
}

}  // namespace hox::zarr
