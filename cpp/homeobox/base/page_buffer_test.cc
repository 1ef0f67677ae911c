#include "homeobox/base/page_buffer.h"

#include <gtest/gtest.h>

#include <utility>

namespace hox {
namespace {

TEST(PageBufferTest, MovesAndGivesBack) {
  PageBuffer buffer(100'000);
  EXPECT_EQ(buffer.size(), 100'000U);
  buffer.as<std::uint32_t>()[24'999] = 7;
  PageBuffer moved(std::move(buffer));
  EXPECT_EQ(moved.as<std::uint32_t>()[24'999], 7U);
  EXPECT_EQ(buffer.size(), 0U);  // NOLINT(bugprone-use-after-move): that is what is tested
  PageBuffer other(1);
  other = std::move(moved);
  EXPECT_EQ(other.as<std::uint32_t>()[24'999], 7U);
  EXPECT_EQ(moved.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  other.reset();
  EXPECT_EQ(other.size(), 0U);
  EXPECT_EQ(PageBuffer(0).data(), nullptr);
}

}  // namespace
}  // namespace hox
