// FailingStore: one request, counted from 1 over all operations, fails with StoreError. For fault tests that let
// request 1, 2, 3, ... fail until nothing fails any more.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "homeobox/io/testing/intercepting_store.h"

namespace hox {

class FailingStore final : public InterceptingStore {
 public:
  // `n_failures` requests fail, from number `fail_on` on; none if `fail_on` is 0.
  FailingStore(std::shared_ptr<Store> inner, std::uint64_t fail_on, std::uint64_t n_failures = 1,
               bool retryable = false);

  // How many requests were made, the failed ones among them.
  std::uint64_t requests() const noexcept { return requests_.load(); }

 private:
  void before_request(const char* operation, std::string_view key, const std::stop_token& stop) const override;

  const std::uint64_t fail_on_;
  const std::uint64_t n_failures_;
  const bool retryable_;
  mutable std::atomic<std::uint64_t> requests_{0};
};

}  // namespace hox
