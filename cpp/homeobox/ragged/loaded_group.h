// LoadedGroup: the arrays of one group with the encoded bytes of some cells at hand, for decoding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "homeobox/ragged/cell_ranges.h"
#include "homeobox/ragged/range_source.h"

namespace hox::ragged {

struct LoadedGroup {
  RangeSource indices;
  RangeSource values;
  const ColumnMap* columns;
};

// Throws CorruptData, InvalidArgument or Unsupported unless each group's arrays belong together and its values can be
// `dtype`. Whoever reads groups calls this first.
void check_groups(std::span<const GatherGroup> groups, DataType dtype);

// Throws OutOfRange unless every cell is in a group that exists and its range lies in that group's arrays.
void check_cells(std::span<const GatherGroup> groups, const CellRanges& cells);

// Fetches what the cells need of every array, all arrays at once; with views there is nothing to fetch. The groups and
// cells have been checked.
std::vector<LoadedGroup> load_groups(std::span<const GatherGroup> groups, const CellRanges& cells,
                                     const ReadOptions& options);

}  // namespace hox::ragged
