#include "obstore_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/base/interrupt.h"
#include "homeobox/base/runtime.h"

namespace hox::bindings {
namespace {

constexpr const char* kClosed = "the Python interpreter is going down, and obstore with it";

}  // namespace

// Leaked: stores that live in static objects forget themselves after everything else is gone.
ObstoreQueue& ObstoreQueue::instance() {
  static ObstoreQueue& queue = *new ObstoreQueue;
  return queue;
}

void ObstoreQueue::refuse_after_fork() const {
  const unsigned started_in = started_in_.load();
  if (started_in != 0) hox::refuse_after_fork(started_in - 1, "the obstore dispatcher of homeobox");
}

int ObstoreQueue::start() {
  refuse_after_fork();
  const std::lock_guard lock(mutex_);
  if (event_ < 0) {
    event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_ < 0)
      hox::fail<StoreError>("cannot start the obstore dispatcher: {}", std::generic_category().message(errno));
    started_in_ = fork_generation() + 1;
  }
  return event_;
}

void ObstoreQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  waiting_.clear();
  for (const auto& [id, waiter] : waiters_) waiter->done.notify_all();
}

ObstoreAnswer ObstoreQueue::ask(ObstoreRequest request, const std::stop_token& stop) {
  refuse_after_fork();
  const auto waiter = std::make_shared<Waiter>();
  waiter->operation = request.operation;
  std::unique_lock lock(mutex_);
  const std::uint64_t id = ++last_id_;
  waiters_.emplace(id, waiter);
  try {
    push(id, std::move(request));
    interruptible_wait(waiter->done, lock, stop,
                       [&] { return closed_ || waiter->answer || waiter->error || waiter->refused; });
  } catch (...) {
    give_up(id);
    throw;
  }
  waiters_.erase(id);
  if (waiter->answer) return std::move(*waiter->answer);
  if (waiter->error) throw StoreError(*waiter->error, waiter->retryable);
  if (waiter->refused) throw StoreError("not enough memory to hand a request to obstore", true);
  throw Cancelled(kClosed);
}

// Caller holds the lock.
void ObstoreQueue::push(std::uint64_t id, ObstoreRequest request) {
  if (closed_) throw Cancelled(kClosed);
  waiting_.push_back({id, std::move(request)});
  set_event();
}

// Caller holds the lock.
void ObstoreQueue::give_up(std::uint64_t id) noexcept {
  waiters_.erase(id);
  const auto found = std::ranges::find(waiting_, id, &Taken::id);
  if (found != waiting_.end()) {
    waiting_.erase(found);
    return;
  }
  if (closed_) return;
  try {
    ObstoreRequest cancel;
    cancel.operation = ObstoreOperation::kCancel;
    push(id, std::move(cancel));
  } catch (const std::bad_alloc&) {
    // The request then runs to its end unheard.
  }
}

void ObstoreQueue::forget(std::uint64_t store_id) noexcept {
  try {
    refuse_after_fork();
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    ObstoreRequest request;
    request.operation = ObstoreOperation::kForget;
    request.store_id = store_id;
    push(0, std::move(request));
  } catch (const std::exception&) {
    // In a forked child, or out of memory, the Python object stays until the process ends.
  }
}

std::optional<ObstoreOperation> ObstoreQueue::operation_of(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return std::nullopt;
  return found->second->operation;
}

void ObstoreQueue::complete(std::uint64_t id, ObstoreAnswer answer) {
  const std::lock_guard lock(mutex_);
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  found->second->answer = std::move(answer);
  found->second->done.notify_all();
}

void ObstoreQueue::fail(std::uint64_t id, std::string message, bool retryable) {
  const std::lock_guard lock(mutex_);
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  found->second->error = std::move(message);
  found->second->retryable = retryable;
  found->second->done.notify_all();
}

void ObstoreQueue::fail_for_want_of_memory(std::uint64_t id) noexcept {
  const std::lock_guard lock(mutex_);
  refuse(id);
}

// Caller holds the lock.
void ObstoreQueue::refuse(std::uint64_t id) noexcept {
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  found->second->refused = true;
  found->second->done.notify_all();
}

void ObstoreQueue::set_event() noexcept {
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is full: the event is set already.
  static_cast<void>(!::write(event_, &one, sizeof one));
}

void ObstoreQueue::clear_event() noexcept {
  std::uint64_t count = 0;
  static_cast<void>(!::read(event_, &count, sizeof count));
}

}  // namespace hox::bindings
