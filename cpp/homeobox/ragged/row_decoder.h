// RowDecoder: decodes, remaps and orders the rows of one gather. One per worker thread; owns its scratch memory.
#pragma once

#include <cstdint>
#include <vector>

#include "homeobox/ragged/cell_ranges.h"
#include "homeobox/ragged/column_map.h"
#include "homeobox/ragged/loaded_group.h"
#include "homeobox/ragged/row_sorter.h"

namespace hox::ragged {

class RowDecoder {
 public:
  RowDecoder(std::int64_t n_columns, DataType dtype, RowOrder order);

  // Cells [first, last) of groups whose maps drop nothing. Cell i's entries go to indptr[i] of `columns` and of
  // `values`, which are arrays of indptr.back() entries. The bytes of the next cells are fetched into the cache
  // meanwhile.
  void decode_cells(std::span<const LoadedGroup> groups, const CellRanges& cells, std::size_t first, std::size_t last,
                    std::span<const std::int64_t> indptr, std::uint32_t* columns, std::byte* values);

  // One cell of a group with any map: appends what the map keeps and returns how many entries that is. `cell` is for
  // messages.
  std::size_t append_kept(const LoadedGroup& group, std::size_t cell, std::uint64_t begin, std::uint64_t end,
                          std::vector<std::uint32_t>& columns, std::vector<std::byte>& values);

 private:
  // A cell whose bytes have been located.
  struct Row {
    const LoadedGroup* group = nullptr;  // nullptr: no data
    std::uint64_t n = 0;
    RangeSource::Start indices;
    RangeSource::Start values;
  };
  static Row locate(const LoadedGroup& group, std::uint64_t begin, std::uint64_t end);
  void decode_columns(const Row& row, std::size_t cell, std::uint32_t* columns);
  void decode_values(const Row& row, std::byte* values);

  DataType dtype_;
  RowOrder order_;
  RowSorter sorter_;
  codec::Scratch scratch_;
  RangeSource::DecodedChunk index_chunk_;
  RangeSource::DecodedChunk value_chunk_;
  RawBuffer stored_;  // elements before conversion
  std::vector<std::size_t> visit_order_;
  std::vector<std::uint32_t> all_columns_;
  RawBuffer all_values_;
};

}  // namespace hox::ragged
