// ObstoreQueue: requests to Python's obstore, made by any C++ thread and served by one Python thread.
//
// The thread that asks puts a request here and waits; it never touches Python. The dispatcher of
// homeobox/_obstore_bridge.py sleeps on the event descriptor, takes requests, awaits obstore and completes them, so
// any number is in flight at once. A request that its caller gave up is cancelled there too.
//
// There is one queue per process. It does not survive fork(), and it is closed when the interpreter exits: requests
// then end with Cancelled. No Python here; obstore_bridge.cc converts.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "homeobox/base/buffer.h"
#include "homeobox/io/store.h"

namespace hox::bindings {

enum class ObstoreOperation : std::uint8_t {
  kRead,
  kReadRanges,
  kReadSuffix,
  kSize,
  kWrite,
  kCreate,
  kRemove,
  kList,
  kCancel,  // of the request whose id is this one's
  kForget,  // the Python object of the store
};

// What came back. Which members count depends on the operation.
struct ObstoreAnswer {
  bool missing = false;
  bool created = false;
  std::uint64_t object_bytes = 0;
  std::vector<Buffer> buffers;
  std::vector<ObjectInfo> objects;
};

struct ObstoreRequest {
  ObstoreOperation operation = ObstoreOperation::kRead;
  std::uint64_t store_id = 0;
  std::string key;
  std::vector<ByteRange> ranges;
  std::uint64_t n_bytes = 0;
  std::span<const std::byte> data;  // the caller's, valid until it has its answer or gives up
};

class ObstoreQueue {
 public:
  static ObstoreQueue& instance();

  // --- for stores, from any thread, without the GIL ---

  // Throws StoreError, or Cancelled on Ctrl-C, on `stop` and once the queue is closed.
  ObstoreAnswer ask(ObstoreRequest request, const std::stop_token& stop);
  // Leaves word that a store is gone; for destructors.
  void forget(std::uint64_t store_id) noexcept;
  // Throws Unsupported in a child of the process that started the dispatcher.
  void refuse_after_fork() const;

  // --- for the dispatcher ---

  // An event descriptor that is readable while requests wait.
  int start();
  void close();

  struct Taken {
    std::uint64_t id;
    ObstoreRequest request;
  };
  // Takes what waits, in order. `with_data` is called under the lock for each request that has data, and must copy it:
  // afterwards the caller may be gone. Where it throws, that one request fails.
  template <class WithData>
  std::vector<Taken> take(WithData with_data) {
    std::vector<Taken> taken;
    const std::lock_guard lock(mutex_);
    taken.reserve(waiting_.size());
    // Not before all that may throw: requests whose event is gone would wait for the next one's.
    clear_event();
    while (!waiting_.empty()) {
      Taken next = std::move(waiting_.front());
      waiting_.pop_front();
      try {
        if (!next.request.data.empty()) with_data(next);
      } catch (...) {
        refuse(next.id);
        continue;
      }
      taken.push_back(std::move(next));
    }
    return taken;
  }
  // Fails a request for which the dispatcher had no memory.
  void fail_for_want_of_memory(std::uint64_t id) noexcept;
  // The operation of a request in flight; nullopt if its caller gave up.
  std::optional<ObstoreOperation> operation_of(std::uint64_t id) const;
  void complete(std::uint64_t id, ObstoreAnswer answer);
  void fail(std::uint64_t id, std::string message, bool retryable);

 private:
  // One caller that waits. Guarded by the queue's lock: requests take milliseconds, so it is not contended.
  struct Waiter {
    ObstoreOperation operation;
    std::condition_variable_any done;
    std::optional<ObstoreAnswer> answer;
    std::optional<std::string> error;
    bool retryable = false;
    bool refused = false;  // an error that needs no memory
  };

  void push(std::uint64_t id, ObstoreRequest request);
  void give_up(std::uint64_t id) noexcept;
  void refuse(std::uint64_t id) noexcept;
  void set_event() noexcept;
  void clear_event() noexcept;

  mutable std::mutex mutex_;
  std::deque<Taken> waiting_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Waiter>> waiters_;
  std::uint64_t last_id_ = 0;
  bool closed_ = false;
  std::atomic<int> event_{-1};
  std::atomic<unsigned> started_in_{0};  // fork generation plus one; 0 before start
};

}  // namespace hox::bindings
