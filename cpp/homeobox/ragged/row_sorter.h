// RowSorter: puts the entries of one sparse row into ascending column order.
//
// Long rows go by rank: set one bit per column, count the bits below each entry, place it. That is linear and about
// seven times as fast as a comparison sort on a cell of 850 genes. Short rows, and rows with a repeated column, are
// sorted by comparison. One sorter per thread: it owns the bitmap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace hox::ragged {

class RowSorter {
 public:
  explicit RowSorter(std::int64_t n_columns);

  // In place. `values` are columns.size() elements of `value_bytes` (1, 2, 4 or 8) each; may be null when value_bytes
  // is 0. Every column is below n_columns.
  void sort(std::span<std::uint32_t> columns, std::byte* values, std::size_t value_bytes);

  // Place of each column in ascending order, equal columns by position; valid until the next call. Every column is
  // below n_columns.
  std::span<const std::uint32_t> places_of(std::span<const std::uint32_t> columns);

 private:
  bool rank(std::span<const std::uint32_t> columns);
  void compare(std::span<const std::uint32_t> columns);

  std::vector<std::uint64_t> bits_;
  std::vector<std::uint32_t> below_;  // bits set in the words before
  std::vector<std::uint32_t> places_;
  std::vector<std::uint32_t> old_columns_;
  std::vector<std::byte> old_values_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> by_column_;  // column, position
};

// to[places[i]] = from[i], for elements of `value_bytes` (1, 2, 4 or 8); `from` and `to` do not overlap.
void place_values(std::span<const std::uint32_t> places, const std::byte* from, std::size_t value_bytes, std::byte* to);

}  // namespace hox::ragged
