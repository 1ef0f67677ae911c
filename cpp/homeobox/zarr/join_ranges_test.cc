#include "homeobox/zarr/join_ranges.h"

#include <gtest/gtest.h>

namespace hox::zarr {
namespace {

TEST(JoinRanges, JoinsUpToTheGap) {
  const std::vector<ByteRange> ranges = {{0, 10}, {20, 30}, {41, 50}, {45, 47}, {50, 60}};
  const JoinedRanges joined = join_ranges(ranges, 10);
  ASSERT_EQ(joined.requests.size(), 2U);
  EXPECT_EQ(joined.requests[0].begin, 0U);
  EXPECT_EQ(joined.requests[0].end, 30U);
  EXPECT_EQ(joined.requests[1].begin, 41U);
  EXPECT_EQ(joined.requests[1].end, 60U);
  EXPECT_EQ(joined.request_of, (std::vector<std::size_t>{0, 0, 1, 1, 1}));
}

TEST(JoinRanges, RequestsStayWithinTheirSize) {
  const std::vector<ByteRange> ranges = {{0, 10}, {10, 20}, {20, 30}, {22, 25}, {30, 90}, {90, 95}};
  const JoinedRanges joined = join_ranges(ranges, 5, 20);
  EXPECT_EQ(joined.request_of, (std::vector<std::size_t>{0, 0, 1, 1, 2, 3}));
  EXPECT_EQ(joined.requests[1].end, 30U);
  EXPECT_EQ(joined.requests[2].end, 90U);
}

TEST(JoinRanges, NothingGivesNothing) { EXPECT_TRUE(join_ranges({}).requests.empty()); }

}  // namespace
}  // namespace hox::zarr
