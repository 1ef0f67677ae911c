// The conformance suite for every store of this layer and for every wrapper around one.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/io/file_store.h"
#include "homeobox/io/forwarding_store.h"
#include "homeobox/io/memory_store.h"
#include "homeobox/io/retrying_store.h"
#include "homeobox/io/testing/counting_store.h"
#include "homeobox/io/testing/failing_store.h"
#include "homeobox/io/testing/slow_store.h"
#include "homeobox/io/testing/store_conformance.h"

namespace hox {
namespace {

std::shared_ptr<Store> memory() { return std::make_shared<MemoryStore>(); }

std::shared_ptr<Store> files() {
  // Outlives the tests: a store may be used until the end of its test.
  static const TemporaryDirectory directory;
  static int n_stores = 0;
  return std::make_shared<FileStore>(directory.path() + "/made/" + std::to_string(n_stores++));
}

constexpr RetryPolicy kImpatient{3, std::chrono::milliseconds(0), std::chrono::milliseconds(0)};

INSTANTIATE_TEST_SUITE_P(Memory, StoreConformance, testing::Values(memory));
INSTANTIATE_TEST_SUITE_P(Files, StoreConformance, testing::Values(files));
INSTANTIATE_TEST_SUITE_P(Counting, StoreConformance,
                         testing::Values([] { return std::make_shared<CountingStore>(files()); }));
INSTANTIATE_TEST_SUITE_P(Slow, StoreConformance, testing::Values([] {
                           return std::make_shared<SlowStore>(memory(), std::chrono::microseconds(50));
                         }));
INSTANTIATE_TEST_SUITE_P(Retrying, StoreConformance,
                         testing::Values([] { return std::make_shared<RetryingStore>(memory(), kImpatient); }));
// Two failures lie below what the policy bears, so nobody notices them.
INSTANTIATE_TEST_SUITE_P(RetryingFailing, StoreConformance, testing::Values([] {
                           auto failing = std::make_shared<FailingStore>(files(), 2, 2, true);
                           return std::make_shared<RetryingStore>(std::move(failing), kImpatient);
                         }));

std::shared_ptr<RetryingStore> retry(std::shared_ptr<Store> inner, RetryPolicy policy = kImpatient) {
  return std::make_shared<RetryingStore>(std::move(inner), policy);
}

TEST(RetryingStore, GivesUpAfterMaxAttempts) {
  const auto failing = std::make_shared<FailingStore>(memory(), 1, 100, true);
  try {
    retry(failing)->read("key");
    FAIL() << "no error";
  } catch (const StoreError& error) {
    EXPECT_TRUE(error.retryable());
    EXPECT_NE(std::string(error.what()).find("3 attempts"), std::string::npos) << error.what();
  }
  EXPECT_EQ(failing->requests(), 3U);
}

TEST(RetryingStore, DoesNotRepeatPermanentErrors) {
  const auto failing = std::make_shared<FailingStore>(memory(), 1, 100, false);
  EXPECT_THROW(retry(failing)->read("key"), StoreError);
  EXPECT_EQ(failing->requests(), 1U);
}

TEST(RetryingStore, StopsWaitingWhenAskedTo) {
  const auto failing = std::make_shared<FailingStore>(memory(), 1, 100, true);
  const auto store = retry(failing, {3, std::chrono::hours(1), std::chrono::hours(1)});
  std::stop_source source;
  std::jthread stopper([&] {
    while (failing->requests() == 0) std::this_thread::yield();
    source.request_stop();
  });
  EXPECT_THROW(store->read("key", {source.get_token()}), Cancelled);
}

// Makes the object, then says that it failed: a lost reply.
class ForgetfulStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  bool create(std::string_view key, std::span<const std::byte> bytes) override {
    const bool created = ForwardingStore::create(key, bytes);
    if (std::exchange(forget_, false)) throw StoreError("the reply got lost", true);
    return created;
  }

 private:
  bool forget_ = true;
};

TEST(RetryingStore, RecognisesItsOwnObjectAfterALostReply) {
  EXPECT_TRUE(retry(std::make_shared<ForgetfulStore>(memory()))->create("key", as_bytes("writer 1")));
  const auto taken = memory();
  taken->write("key", as_bytes("writer 0"));
  EXPECT_FALSE(retry(std::make_shared<ForgetfulStore>(taken))->create("key", as_bytes("writer 1")));
}

TEST(RetryingStore, RefusesPoliciesWithoutSense) {
  EXPECT_THROW(retry(memory(), {0, std::chrono::milliseconds(0), std::chrono::milliseconds(0)}), InvalidArgument);
  EXPECT_THROW(retry(memory(), {1, std::chrono::milliseconds(-1), std::chrono::milliseconds(0)}), InvalidArgument);
  EXPECT_THROW(retry(nullptr), InvalidArgument);
}

TEST(CountingStore, CountsRequestsAndBytes) {
  CountingStore store(memory());
  store.write("key", as_bytes("0123456789"));
  EXPECT_EQ(store.requests(), 1U);
  EXPECT_EQ(store.bytes_written(), 10U);
  store.reset();
  const std::vector<ByteRange> ranges = {{0, 3}, {5, 6}};
  store.read_ranges("key", ranges);
  store.read_suffix("key", 2);
  store.read("key");
  store.read("missing");
  EXPECT_EQ(store.requests(), 5U);
  EXPECT_EQ(store.bytes_read(), 16U);
}

TEST(FailingStore, FailsTheChosenRequestOnly) {
  FailingStore store(memory(), 2);
  EXPECT_NO_THROW(store.write("key", as_bytes("x")));
  EXPECT_THROW(store.read("key"), StoreError);
  EXPECT_EQ(as_text(store.read("key").value()), "x");
  EXPECT_EQ(store.requests(), 3U);
}

TEST(SlowStore, StopsWaitingWhenAskedTo) {
  SlowStore store(memory(), std::chrono::hours(1));
  std::stop_source source;
  std::jthread stopper([&] { source.request_stop(); });
  EXPECT_THROW(store.read("key", {source.get_token()}), Cancelled);
}

}  // namespace
}  // namespace hox
