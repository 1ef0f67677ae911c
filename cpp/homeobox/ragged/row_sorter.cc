#include "homeobox/ragged/row_sorter.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace hox::ragged {
namespace {

// Below so many entries per bitmap word the pass over the bitmap costs more than a comparison sort.
constexpr std::size_t kWordsPerEntry = 8;

// Values are only moved, so their size is all that matters.
template <class Move>
void for_value_type(std::size_t value_bytes, Move move) {
  switch (value_bytes) {
    case 1:
      return move(std::uint8_t{});
    case 2:
      return move(std::uint16_t{});
    case 4:
      return move(std::uint32_t{});
    case 8:
      return move(std::uint64_t{});
    default:
      return;
  }
}

}  // namespace

RowSorter::RowSorter(std::int64_t n_columns)
    : bits_((static_cast<std::size_t>(n_columns) + 63) / 64), below_(bits_.size()) {}

void RowSorter::sort(std::span<std::uint32_t> columns, std::byte* values, std::size_t value_bytes) {
  if (std::is_sorted(columns.begin(), columns.end())) return;
  if (columns.size() * kWordsPerEntry < bits_.size() || !sort_by_rank(columns, values, value_bytes))
    sort_by_comparison(columns, values, value_bytes);
}

bool RowSorter::sort_by_rank(std::span<std::uint32_t> columns, std::byte* values, std::size_t value_bytes) {
  for (const std::uint32_t column : columns) bits_[column / 64] |= std::uint64_t{1} << (column % 64);
  std::uint32_t total = 0;
  for (std::size_t word = 0; word < bits_.size(); ++word) {
    below_[word] = total;
    total += static_cast<std::uint32_t>(std::popcount(bits_[word]));
  }
  const bool distinct = total == columns.size();
  if (distinct) {
    old_columns_.assign(columns.begin(), columns.end());
    old_values_.resize(columns.size() * value_bytes);
    if (value_bytes != 0) std::memcpy(old_values_.data(), values, old_values_.size());
    const auto rank = [this](std::uint32_t column) {
      const std::uint64_t lower = (std::uint64_t{1} << (column % 64)) - 1;
      return below_[column / 64] + static_cast<std::uint32_t>(std::popcount(bits_[column / 64] & lower));
    };
    if (value_bytes == 0)
      for (const std::uint32_t column : old_columns_) columns[rank(column)] = column;
    for_value_type(value_bytes, [&](auto type) {
      using Value = decltype(type);
      const auto* const from = reinterpret_cast<const Value*>(old_values_.data());
      auto* const to = reinterpret_cast<Value*>(values);
      for (std::size_t i = 0; i < old_columns_.size(); ++i) {
        const std::uint32_t place = rank(old_columns_[i]);
        columns[place] = old_columns_[i];
        to[place] = from[i];
      }
    });
  }
  std::fill(bits_.begin(), bits_.end(), std::uint64_t{0});
  return distinct;
}

void RowSorter::sort_by_comparison(std::span<std::uint32_t> columns, std::byte* values, std::size_t value_bytes) {
  by_column_.resize(columns.size());
  for (std::uint32_t i = 0; i < columns.size(); ++i) by_column_[i] = {columns[i], i};
  std::sort(by_column_.begin(), by_column_.end());  // equal columns stay in order: the position is the second key
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = by_column_[i].first;
  if (value_bytes == 0) return;
  old_values_.resize(columns.size() * value_bytes);
  std::memcpy(old_values_.data(), values, old_values_.size());
  for_value_type(value_bytes, [&](auto type) {
    using Value = decltype(type);
    const auto* const from = reinterpret_cast<const Value*>(old_values_.data());
    auto* const to = reinterpret_cast<Value*>(values);
    for (std::size_t i = 0; i < columns.size(); ++i) to[i] = from[by_column_[i].second];
  });
}

}  // namespace hox::ragged
