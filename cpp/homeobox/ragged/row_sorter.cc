#include "homeobox/ragged/row_sorter.h"

#include <algorithm>

#include "homeobox/ragged/kernels/rank.h"

namespace hox::ragged {
namespace {

// Below so many entries per bitmap word the pass over the bitmap costs more than a comparison sort.
constexpr std::size_t kWordsPerEntry = 8;

// Values are only moved, so their size is all that matters.
template <class Value>
void place(std::span<const std::uint32_t> places, const std::byte* from, std::byte* to) {
  const auto* const values = reinterpret_cast<const Value*>(from);
  auto* const placed = reinterpret_cast<Value*>(to);
  for (std::size_t i = 0; i < places.size(); ++i) placed[places[i]] = values[i];
}

}  // namespace

void place_values(std::span<const std::uint32_t> places, const std::byte* from, std::size_t value_bytes,
                  std::byte* to) {
  switch (value_bytes) {
    case 1:
      return place<std::uint8_t>(places, from, to);
    case 2:
      return place<std::uint16_t>(places, from, to);
    case 4:
      return place<std::uint32_t>(places, from, to);
    case 8:
      return place<std::uint64_t>(places, from, to);
    default:
      return;
  }
}

RowSorter::RowSorter(std::int64_t n_columns)
    : bits_((static_cast<std::size_t>(n_columns) + 63) / 64), below_(bits_.size()) {}

void RowSorter::sort(std::span<std::uint32_t> columns, std::byte* values, std::size_t value_bytes) {
  if (std::is_sorted(columns.begin(), columns.end())) return;
  const std::span<const std::uint32_t> places = places_of(columns);
  old_columns_.assign(columns.begin(), columns.end());
  for (std::size_t i = 0; i < places.size(); ++i) columns[places[i]] = old_columns_[i];
  if (value_bytes == 0) return;
  old_values_.assign(values, values + columns.size() * value_bytes);
  place_values(places, old_values_.data(), value_bytes, values);
}

std::span<const std::uint32_t> RowSorter::places_of(std::span<const std::uint32_t> columns) {
  if (places_.size() < columns.size()) places_.resize(columns.size());
  if (columns.size() * kWordsPerEntry < bits_.size() || !rank(columns)) compare(columns);
  return std::span(places_).first(columns.size());
}

bool RowSorter::rank(std::span<const std::uint32_t> columns) {
  return rank_columns()(columns.data(), static_cast<std::uint32_t>(columns.size()), bits_.data(), below_.data(),
                        static_cast<std::uint32_t>(bits_.size()), places_.data());
}

void RowSorter::compare(std::span<const std::uint32_t> columns) {
  by_column_.resize(columns.size());
  for (std::uint32_t i = 0; i < columns.size(); ++i) by_column_[i] = {columns[i], i};
  std::sort(by_column_.begin(), by_column_.end());  // equal columns stay in order: the position is the second key
  for (std::uint32_t i = 0; i < columns.size(); ++i) places_[by_column_[i].second] = i;
}

}  // namespace hox::ragged
