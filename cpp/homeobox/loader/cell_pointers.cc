#include "homeobox/loader/cell_pointers.h"

#include <algorithm>
#include <limits>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/ragged/loaded_group.h"

namespace hox::loader {

void check_pointers(std::span<const ragged::GatherGroup> groups, const CellPointers& cells) {
  if (cells.begins.size() != cells.groups.size() || cells.lengths.size() != cells.groups.size())
    fail<InvalidArgument>("loader: {} cells, but {} begins and {} lengths", cells.groups.size(), cells.begins.size(),
                          cells.lengths.size());
  if (cells.groups.size() > std::numeric_limits<std::uint32_t>::max())
    fail<InvalidArgument>("loader: {} cells, more than 2^32 - 1", cells.groups.size());
  constexpr std::size_t kSlice = 65536;  // keeps the ends, which only this check needs, small
  std::vector<std::int64_t> ends;
  for (std::size_t first = 0; first < cells.groups.size(); first += kSlice) {
    const std::size_t n = std::min(kSlice, cells.groups.size() - first);
    ends.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto end = checked_add<std::int64_t>(cells.begins[first + i], cells.lengths[first + i]);
      if (!end) fail<OutOfRange>("loader: cell {} begins at element {}", first + i, cells.begins[first + i]);
      ends[i] = *end;
    }
    ragged::check_cells(groups,
                        {std::span(cells.groups).subspan(first, n), std::span(cells.begins).subspan(first, n), ends});
  }
}

}  // namespace hox::loader
