#include "homeobox/base/interrupt.h"

#include <algorithm>
#include <atomic>

#include "homeobox/base/error.h"

namespace hox {
namespace {

std::atomic<bool (*)()> interrupt_check{nullptr};
thread_local bool exempt = false;

}  // namespace

void set_interrupt_check(bool (*check)()) noexcept { interrupt_check.store(check); }

void exempt_thread_from_interrupts() noexcept { exempt = true; }

bool interrupt_requested() {
  if (exempt) return false;
  bool (*check)() = interrupt_check.load();
  return check != nullptr && check();
}

void check_stop(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Cancelled("cancelled before it finished");
}

void check_interrupt(const std::stop_token& stop) {
  check_stop(stop);
  if (interrupt_requested()) throw Cancelled("interrupted");
}

void interruptible_sleep(std::chrono::nanoseconds duration, const std::stop_token& stop) {
  const auto deadline = std::chrono::steady_clock::now() + duration;
  std::mutex mutex;
  std::condition_variable_any never;
  for (;;) {
    check_interrupt(stop);
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) return;
    std::unique_lock lock(mutex);
    never.wait_until(lock, stop, std::min(deadline, now + kInterruptPeriod), [] { return false; });
  }
}

}  // namespace hox
