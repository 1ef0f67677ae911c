// CellPointers: where the entries of every cell of a loader lie, 16 bytes per cell.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "homeobox/ragged/cell_ranges.h"

namespace hox::loader {

struct CellPointers {
  std::vector<std::int64_t> begins;
  std::vector<std::uint32_t> lengths;
  std::vector<std::int32_t> groups;  // kNoGroup for a cell without data: an empty row
};

// Checks all ranges once, so that no batch has to. Throws InvalidArgument for vectors of different lengths or 2^32
// cells, and OutOfRange for a cell that leaves its group.
void check_pointers(std::span<const ragged::GatherGroup> groups, const CellPointers& cells);

}  // namespace hox::loader
