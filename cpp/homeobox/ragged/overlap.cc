#include "homeobox/ragged/overlap.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>

#include "homeobox/base/interrupt.h"
#include "homeobox/base/runtime.h"

namespace hox::ragged {
namespace {

// The tasks of one step. The destructor waits for those that run: they use what belongs to the caller.
class Step {
 public:
  explicit Step(const std::stop_token& stop) : linked_(stop, [this] { stop_.request_stop(); }) {}
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  ~Step() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return n_running_ == 0; });
  }

  void start(const ItemTask& task, std::size_t item) {
    // No task waits for its own pool.
    if (Runtime::io().owns_current_thread()) return run(task, item);
    {
      const std::lock_guard lock(mutex_);
      ++n_running_;
    }
    try {
      Runtime::io().submit([this, &task, item] {
        run(task, item);
        const std::lock_guard lock(mutex_);
        --n_running_;
        changed_.notify_all();  // under the lock: the step may go as soon as it is released
      });
    } catch (...) {
      const std::lock_guard lock(mutex_);
      --n_running_;
      throw;
    }
  }

  void run(const ItemTask& task, std::size_t item) noexcept {
    try {
      check_stop(stop_.get_token());
      task(item, stop_.get_token());
    } catch (...) {
      fail(std::current_exception());
    }
  }

  // Until all have returned; throws what the first one threw that failed.
  void wait() {
    std::unique_lock lock(mutex_);
    const auto done = [this] { return n_running_ == 0; };
    try {
      interruptible_wait(changed_, lock, {}, done);
    } catch (...) {
      lock.unlock();
      fail(std::current_exception());
      lock.lock();
      changed_.wait(lock, done);
    }
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  void fail(std::exception_ptr failure) {
    {
      const std::lock_guard lock(mutex_);
      if (failure_ == nullptr) failure_ = std::move(failure);
    }
    stop_.request_stop();
  }

  std::stop_source stop_;
  std::stop_callback<std::function<void()>> linked_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable_any changed_;
  std::size_t n_running_ = 0;
  std::exception_ptr failure_;
};

}  // namespace

void run_overlapped(std::size_t n_items, const OverlapStages& stages,
                    const std::function<void(std::size_t, std::size_t)>& after_step, const std::stop_token& stop) {
  const std::size_t n_stages = stages.write ? 3 : 2;
  for (std::size_t t = 0; n_items > 0 && t < n_items + n_stages - 1; ++t) {
    check_interrupt(stop);
    Step step(stop);
    if (t < n_items)
      for (const ItemTask& task : stages.read) step.start(task, t);
    if (stages.write && t >= 2) step.start(stages.write, t - 2);
    if (t >= 1 && t <= n_items) step.run(stages.compute, t - 1);
    step.wait();
    after_step(std::min(t + 1, n_items), std::min(t, n_items));
  }
}

}  // namespace hox::ragged
