#include "homeobox/zarr/box.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

namespace hox::zarr {
namespace {

using Shape = std::vector<std::uint64_t>;

// Copies one element at a time, by the definition of C order.
std::vector<std::uint16_t> copy_plainly(const std::vector<std::uint16_t>& from, const Shape& from_shape,
                                        const Shape& from_begin, std::vector<std::uint16_t> to, const Shape& to_shape,
                                        const Shape& to_begin, const Shape& extents) {
  for (std::uint64_t i = 0; i < extents[0]; ++i)
    for (std::uint64_t j = 0; j < extents[1]; ++j)
      for (std::uint64_t k = 0; k < extents[2]; ++k)
        to[((to_begin[0] + i) * to_shape[1] + to_begin[1] + j) * to_shape[2] + to_begin[2] + k] =
            from[((from_begin[0] + i) * from_shape[1] + from_begin[1] + j) * from_shape[2] + from_begin[2] + k];
  return to;
}

TEST(Box, CopyEqualsThePlainLoopForEveryBox) {
  const Shape from_shape = {3, 2, 4};
  const Shape to_shape = {4, 3, 4};
  std::vector<std::uint16_t> from(24);
  std::iota(from.begin(), from.end(), std::uint16_t{1});
  for (std::uint64_t a = 0; a <= 3; ++a) {
    for (std::uint64_t b = 0; b <= 2; ++b) {
      for (std::uint64_t c = 0; c <= 4; ++c) {
        const Shape extents = {a, b, c};
        const Shape from_begin = {3 - a, 2 - b, 4 - c};
        const Shape to_begin = {1, 1, 0};
        std::vector<std::uint16_t> to(48);
        const auto expected = copy_plainly(from, from_shape, from_begin, to, to_shape, to_begin, extents);
        copy_box(reinterpret_cast<const std::byte*>(from.data()), {from_shape, from_begin},
                 reinterpret_cast<std::byte*>(to.data()), {to_shape, to_begin}, extents, 2);
        EXPECT_EQ(to, expected) << a << b << c;
      }
    }
  }
}

TEST(Box, CopiesTheElementOfAnArrayWithoutAxes) {
  const std::uint32_t from = 7;
  std::uint32_t to = 0;
  copy_box(reinterpret_cast<const std::byte*>(&from), {}, reinterpret_cast<std::byte*>(&to), {}, {}, 4);
  EXPECT_EQ(to, 7U);
}

TEST(Box, Contiguity) {
  const Shape shape = {3, 4, 5};
  EXPECT_TRUE(is_contiguous(Shape{3, 4, 5}, shape));
  EXPECT_TRUE(is_contiguous(Shape{2, 4, 5}, shape));
  EXPECT_TRUE(is_contiguous(Shape{1, 2, 5}, shape));
  EXPECT_TRUE(is_contiguous(Shape{1, 1, 2}, shape));
  EXPECT_FALSE(is_contiguous(Shape{2, 2, 5}, shape));
  EXPECT_FALSE(is_contiguous(Shape{1, 2, 4}, shape));
  EXPECT_TRUE(is_contiguous({}, {}));
}

TEST(Box, FillsWithElementsOfAnyWidth) {
  const std::array<std::byte, 4> element = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  for (const std::size_t width : {1, 2, 4}) {
    const Shape shape = {2, 3};
    const Shape begin = {0, 1};
    std::vector<std::byte> to(6 * width);
    fill_box(std::span(element).first(width), to.data(), {shape, begin}, Shape{2, 2});
    for (std::size_t i = 0; i < to.size(); ++i)
      EXPECT_EQ(to[i], i / width % 3 == 0 ? std::byte{0} : element[i % width]) << width << " " << i;
  }
}

}  // namespace
}  // namespace hox::zarr
