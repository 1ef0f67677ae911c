// What a gather is asked for: the groups, and where in them the entries of each cell lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "homeobox/ragged/column_map.h"
#include "homeobox/zarr/array.h"

namespace hox::ragged {

inline constexpr std::int32_t kNoGroup = -1;

// The arrays of one group and where its features go.
struct GatherGroup {
  std::shared_ptr<const zarr::Array> indices;
  std::shared_ptr<const zarr::Array> values;
  std::shared_ptr<const ColumnMap> columns;
};

// Row i of the result is elements [begins[i], ends[i]) of group group_of_cell[i]; empty for kNoGroup.
struct CellRanges {
  std::span<const std::int32_t> group_of_cell;
  std::span<const std::int64_t> begins;
  std::span<const std::int64_t> ends;
  std::size_t size() const noexcept { return group_of_cell.size(); }
};

enum class RowOrder : std::uint8_t {
  kStored,     // as the group stores its features; not ascending in general
  kCanonical,  // ascending columns
};

}  // namespace hox::ragged
