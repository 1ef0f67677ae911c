#include "homeobox/loader/buffer_pool.h"

#include <gtest/gtest.h>

namespace hox::loader {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

TEST(BufferPool, LeasesWithinItsBudgetAndAlwaysOne) {
  const auto pool = std::make_shared<BufferPool>(10 * kMiB);
  auto first = pool->lease(4 * kMiB);
  auto second = pool->lease(4 * kMiB);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(pool->lease(4 * kMiB), nullptr);
  EXPECT_NE(pool->lease_beyond_budget(4 * kMiB), nullptr);
  const std::byte* const warm = second->data();
  second.reset();
  second = pool->lease(4 * kMiB);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->data(), warm) << "memory that came back is used again";
  first.reset();
  second.reset();
  EXPECT_EQ(pool->bytes_in_use(), 0U);
  EXPECT_NE(pool->lease(100 * kMiB), nullptr) << "a batch larger than the budget, alone";
}

TEST(BufferPool, CountsWhatOthersHaveUntilTheyGiveItUp) {
  const auto pool = std::make_shared<BufferPool>(10 * kMiB);
  auto charge = pool->charge(7 * kMiB);
  EXPECT_EQ(pool->bytes_in_use(), 7 * kMiB);
  EXPECT_EQ(pool->lease(4 * kMiB), nullptr);
  const auto small = pool->lease(kMiB);
  ASSERT_NE(small, nullptr);
  charge.reset();
  EXPECT_EQ(pool->bytes_in_use(), small->size());
  EXPECT_NE(pool->lease(4 * kMiB, kMiB), nullptr);
  EXPECT_EQ(pool->lease(4 * kMiB, 6 * kMiB), nullptr) << "no room for what will be charged beside it";
}

TEST(BufferPool, AChargeOutlivesThePoolAndTakesTheRoomOfIdleMemory) {
  std::shared_ptr<void> charge;
  {
    const auto pool = std::make_shared<BufferPool>(10 * kMiB);
    pool->lease(6 * kMiB).reset();
    EXPECT_GE(pool->bytes_idle(), 6 * kMiB);
    charge = pool->charge(2 * kMiB);
    EXPECT_GE(pool->bytes_idle(), 6 * kMiB);
    charge = pool->charge(9 * kMiB);
    EXPECT_EQ(pool->bytes_in_use(), 9 * kMiB);
    EXPECT_EQ(pool->bytes_idle(), 0U);
  }
  charge.reset();
}

}  // namespace
}  // namespace hox::loader
