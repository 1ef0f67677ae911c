// Gather: rows of many groups, each with its own features in its own order, into one CSR matrix in the caller's order.
//
// Output sizes are known from the ranges before a byte is read, so blocks decode straight into the final buffers, in
// parallel, and are remapped there. Only a result that leaves features out goes through per-task buffers, because its
// rows shrink.
//
// Fails with OutOfRange (a cell's range leaves its group's arrays) and CorruptData (stored bytes; names array, shard
// and chunk, or the cell whose feature is unknown).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "homeobox/base/raw_buffer.h"
#include "homeobox/ragged/cell_ranges.h"

namespace hox::ragged {

struct CsrMatrix {
  std::vector<std::int64_t> indptr;  // one more than cells
  RawBuffer indices;                 // int32, joined columns
  RawBuffer data;
  DataType dtype{};
};

// All column maps have the same n_columns. `dtype` holds every value of every group's layer (numpy.result_type).
// Duplicate and explicit-zero entries stay.
CsrMatrix gather_csr(std::span<const GatherGroup> groups, const CellRanges& cells, DataType dtype, RowOrder order,
                     const ReadOptions& options = {});

}  // namespace hox::ragged
