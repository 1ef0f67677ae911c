#include "homeobox/io/retrying_store.h"

#include <algorithm>
#include <random>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/base/interrupt.h"

namespace hox {
namespace {

// Between half of `longest` and all of it.
std::chrono::nanoseconds jittered(std::chrono::nanoseconds longest) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return std::chrono::nanoseconds(
      std::uniform_int_distribution<std::chrono::nanoseconds::rep>(longest.count() / 2, longest.count())(random));
}

}  // namespace

RetryingStore::RetryingStore(std::shared_ptr<Store> inner, RetryPolicy policy)
    : ForwardingStore(std::move(inner)), policy_(policy) {
  if (policy.max_attempts < 1)
    fail<InvalidArgument>("RetryingStore: one attempt or more expected, found {}", policy.max_attempts);
  if (policy.first_wait.count() < 0 || policy.max_wait.count() < 0)
    fail<InvalidArgument>("RetryingStore: waits of 0 s or more expected, found {} ms and {} ms",
                          policy.first_wait.count(), policy.max_wait.count());
}

// request(attempt) with attempt = 0, 1, ...
template <class Request>
auto RetryingStore::retry(const std::stop_token& stop, Request request) const {
  std::chrono::milliseconds wait = std::min(policy_.first_wait, policy_.max_wait);
  for (int attempt = 0;; ++attempt) {
    try {
      return request(attempt);
    } catch (const StoreError& error) {
      if (!error.retryable()) throw;
      if (attempt + 1 >= policy_.max_attempts)
        throw StoreError(fmt::format("{} (gave up after {} attempts)", error.what(), policy_.max_attempts), true);
    }
    interruptible_sleep(jittered(wait), stop);
    wait = std::min(wait + wait, policy_.max_wait);
  }
}

std::optional<Buffer> RetryingStore::read(std::string_view key, const ReadOptions& options) const {
  return retry(options.stop, [&](int) { return inner().read(key, options); });
}

std::optional<std::vector<Buffer>> RetryingStore::read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                              const ReadOptions& options) const {
  return retry(options.stop, [&](int) { return inner().read_ranges(key, ranges, options); });
}

std::optional<Suffix> RetryingStore::read_suffix(std::string_view key, std::uint64_t n_bytes,
                                                 const ReadOptions& options) const {
  return retry(options.stop, [&](int) { return inner().read_suffix(key, n_bytes, options); });
}

std::optional<std::uint64_t> RetryingStore::size(std::string_view key) const {
  return retry({}, [&](int) { return inner().size(key); });
}

void RetryingStore::write(std::string_view key, std::span<const std::byte> bytes) {
  retry({}, [&](int) { inner().write(key, bytes); });
}

bool RetryingStore::create(std::string_view key, std::span<const std::byte> bytes) {
  return retry({}, [&](int attempt) {
    if (inner().create(key, bytes)) return true;
    if (attempt == 0) return false;
    const std::optional<Buffer> found = inner().read(key);
    return found && std::ranges::equal(found->bytes(), bytes);
  });
}

void RetryingStore::remove(std::string_view key) {
  retry({}, [&](int) { inner().remove(key); });
}

std::vector<ObjectInfo> RetryingStore::list(std::string_view prefix) const {
  return retry({}, [&](int) { return inner().list(prefix); });
}

}  // namespace hox
