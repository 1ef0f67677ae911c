#include "homeobox/io/testing/failing_store.h"

#include <utility>

#include "homeobox/base/error.h"

namespace hox {

FailingStore::FailingStore(std::shared_ptr<Store> inner, std::uint64_t fail_on, std::uint64_t n_failures,
                           bool retryable)
    : InterceptingStore(std::move(inner)), fail_on_(fail_on), n_failures_(n_failures), retryable_(retryable) {}

void FailingStore::before_request(const char* operation, std::string_view key, const std::stop_token&) const {
  const std::uint64_t request = ++requests_;
  if (fail_on_ == 0 || request < fail_on_ || request - fail_on_ >= n_failures_) return;
  throw StoreError(
      fmt::format("{}, key \"{}\": {} fails, because request {} was told to", describe(), key, operation, request),
      retryable_);
}

}  // namespace hox
