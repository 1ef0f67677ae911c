// RetryingStore: repeats requests that failed with a retryable StoreError.
//
// It waits between attempts, twice as long each time up to a cap, and each wait is shortened by a random part so that
// many clients of one server do not come back together. The wait ends early on Ctrl-C and on the stop token. Views
// are passed on as they are. Wrap stores that do not retry by themselves; obstore does.
#pragma once

#include <chrono>
#include <memory>

#include "homeobox/io/forwarding_store.h"

namespace hox {

struct RetryPolicy {
  int max_attempts = 5;
  std::chrono::milliseconds first_wait{100};
  std::chrono::milliseconds max_wait{10'000};
};

class RetryingStore final : public ForwardingStore {
 public:
  // Throws InvalidArgument for a policy with less than one attempt or a negative wait.
  RetryingStore(std::shared_ptr<Store> inner, RetryPolicy policy);

  std::optional<Buffer> read(std::string_view key, const ReadOptions& options = {}) const override;
  std::optional<std::vector<Buffer>> read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                 const ReadOptions& options = {}) const override;
  std::optional<Suffix> read_suffix(std::string_view key, std::uint64_t n_bytes,
                                    const ReadOptions& options = {}) const override;
  std::optional<std::uint64_t> size(std::string_view key) const override;
  void write(std::string_view key, std::span<const std::byte> bytes) override;
  // An attempt that failed may still have made the object. If a later attempt finds one with the same bytes, it is
  // taken for ours; callers that must know put something unique into the bytes.
  bool create(std::string_view key, std::span<const std::byte> bytes) override;
  void remove(std::string_view key) override;
  std::vector<ObjectInfo> list(std::string_view prefix) const override;

 private:
  template <class Request>
  auto retry(const std::stop_token& stop, Request request) const;

  RetryPolicy policy_;
};

}  // namespace hox
