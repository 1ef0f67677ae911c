// SlowStore: every request waits first, as it would for a distant server. The wait ends early with Cancelled.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "homeobox/base/interrupt.h"
#include "homeobox/io/testing/intercepting_store.h"

namespace hox {

class SlowStore final : public InterceptingStore {
 public:
  SlowStore(std::shared_ptr<Store> inner, std::chrono::nanoseconds delay)
      : InterceptingStore(std::move(inner)), delay_(delay) {}

 private:
  void before_request(const char*, std::string_view, const std::stop_token& stop) const override {
    interruptible_sleep(delay_, stop);
  }

  const std::chrono::nanoseconds delay_;
};

}  // namespace hox
