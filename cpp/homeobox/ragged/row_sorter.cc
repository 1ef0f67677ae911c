#include "homeobox/ragged/row_sorter.h"

#include <algorithm>
#include <cstring>

#include "homeobox/ragged/kernels/rank.h"

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
  const std::size_t n = columns.size();
  places_.resize(n);
  if (!rank_columns()(columns.data(), static_cast<std::uint32_t>(n), bits_.data(), below_.data(),
                      static_cast<std::uint32_t>(bits_.size()), places_.data()))
    return false;
  old_columns_.assign(columns.begin(), columns.end());
  for (std::size_t i = 0; i < n; ++i) columns[places_[i]] = old_columns_[i];
  if (value_bytes == 0) return true;
  old_values_.assign(values, values + n * value_bytes);
  for_value_type(value_bytes, [&](auto type) {
    using Value = decltype(type);
    const auto* const from = reinterpret_cast<const Value*>(old_values_.data());
    auto* const to = reinterpret_cast<Value*>(values);
    for (std::size_t i = 0; i < n; ++i) to[places_[i]] = from[i];
  });
  return true;
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
