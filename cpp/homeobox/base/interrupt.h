// Interrupts: how a blocked call notices that the process was asked to stop.
//
// The core does not know Python. Whoever embeds it installs a check; threads that wait call it about every 100 ms
// and give up with Cancelled. Threads of a pool never run the check: the caller that waits for them does, and stops
// them by its stop token.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace hox {

inline constexpr std::chrono::milliseconds kInterruptPeriod{100};

// Installs the check: returns true when the process was asked to stop. May be called from any thread but those of a
// pool, never under a lock of the core. nullptr removes it.
void set_interrupt_check(bool (*check)()) noexcept;

// Whether the process was asked to stop; false on pool threads and without a check.
bool interrupt_requested();

// Throws Cancelled when `stop` was asked to stop. Cheap enough for every call.
void check_stop(const std::stop_token& stop);

// Throws Cancelled when `stop` or the process was asked to stop. Costs the embedder's check (Python's takes the GIL),
// so it is for calls that wait, once a period.
void check_interrupt(const std::stop_token& stop = {});

// Sleeps, but throws Cancelled soon after a request to stop.
void interruptible_sleep(std::chrono::nanoseconds duration, const std::stop_token& stop = {});

// Waits until `predicate()` holds, but throws Cancelled soon after a request to stop. `lock` is held on return and
// on a throw, and released while the check runs.
template <class Predicate>
void interruptible_wait(std::condition_variable_any& changed, std::unique_lock<std::mutex>& lock,
                        const std::stop_token& stop, Predicate predicate) {
  while (!changed.wait_for(lock, stop, kInterruptPeriod, predicate)) {
    lock.unlock();
    try {
      check_interrupt(stop);
    } catch (...) {
      lock.lock();
      throw;
    }
    lock.lock();
  }
}

// Marks the current thread as one of a pool.
void exempt_thread_from_interrupts() noexcept;

}  // namespace hox
