#include "homeobox/ragged/row_sorter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <numeric>
#include <random>
#include <vector>

#include "homeobox/ragged/kernels/rank.h"

namespace hox::ragged {
namespace {

TEST(RowSorter, SortsLongShortAndRepeatingRowsStablyForEveryValueSize) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  const std::int64_t n_columns = 5000;
  RowSorter sorter(n_columns);
  for (int repeat = 0; repeat < 200; ++repeat) {
    const bool distinct = repeat % 2 == 0;
    std::vector<std::uint32_t> columns(static_cast<std::size_t>(n_columns));
    std::iota(columns.begin(), columns.end(), 0U);
    std::shuffle(columns.begin(), columns.end(), random);
    columns.resize(random() % (repeat % 3 == 0 ? 20 : 3000));
    if (!distinct)
      for (auto& column : columns) column %= 97;
    std::vector<std::uint64_t> values(columns.size());
    std::iota(values.begin(), values.end(), std::uint64_t{1} << 40);
    std::vector<std::size_t> order(columns.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return columns[a] < columns[b]; });
    const std::vector<std::uint32_t> before = columns;
    const std::vector<std::uint64_t> values_before = values;
    sorter.sort(columns, reinterpret_cast<std::byte*>(values.data()), sizeof(std::uint64_t));
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(columns[i], before[order[i]]);
      EXPECT_EQ(values[i], values_before[order[i]]);
    }
    std::vector<std::uint32_t> alone = before;
    sorter.sort(alone, nullptr, 0);
    EXPECT_EQ(alone, columns);
    std::vector<std::uint32_t> again = before;
    std::vector<std::uint8_t> narrow(before.size());
    for (std::size_t i = 0; i < narrow.size(); ++i) narrow[i] = static_cast<std::uint8_t>(values_before[i]);
    sorter.sort(again, reinterpret_cast<std::byte*>(narrow.data()), 1);
    for (std::size_t i = 0; i < narrow.size(); ++i) EXPECT_EQ(narrow[i], static_cast<std::uint8_t>(values[i]));
  }
}

TEST(RankColumns, TheFastTargetEqualsThePlainOne) {
  if (avx2_rank_columns() == nullptr) GTEST_SKIP() << "this processor has one target only";
  std::vector<std::uint32_t> columns = {700, 3, 64, 63, 0, 127, 128};
  std::vector<std::uint64_t> bits(11);
  std::vector<std::uint32_t> below(11);
  std::vector<std::uint32_t> expected(columns.size());
  std::vector<std::uint32_t> found(columns.size());
  EXPECT_TRUE(plain_rank_columns()(columns.data(), 7, bits.data(), below.data(), 11, expected.data()));
  EXPECT_TRUE(avx2_rank_columns()(columns.data(), 7, bits.data(), below.data(), 11, found.data()));
  EXPECT_EQ(found, expected);
  EXPECT_EQ(expected, (std::vector<std::uint32_t>{6, 1, 3, 2, 0, 4, 5}));
  columns[0] = 3;
  EXPECT_FALSE(plain_rank_columns()(columns.data(), 7, bits.data(), below.data(), 11, expected.data()));
  EXPECT_FALSE(avx2_rank_columns()(columns.data(), 7, bits.data(), below.data(), 11, found.data()));
  EXPECT_EQ(bits, std::vector<std::uint64_t>(11));
}

}  // namespace
}  // namespace hox::ragged
