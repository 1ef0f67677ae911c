// ColumnWriter: the second pass of a transposition, from runs to the feature-major arrays.
//
// Spilled pieces of the next range are read while the pieces of one are joined and encoded, and shards are written
// behind that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "homeobox/ragged/csc_merge.h"
#include "homeobox/ragged/run_store.h"
#include "homeobox/ragged/transpose_plan.h"
#include "homeobox/zarr/array_writer.h"

namespace hox::ragged {

// The arrays to fill, each as long as there are entries.
struct ColumnArrays {
  std::unique_ptr<zarr::ArrayWriter> rows;  // nullptr: not wanted
  std::vector<std::unique_ptr<zarr::ArrayWriter>> layers;
  std::vector<DataType> layer_dtypes;
};

// Appends all entries to the arrays and leaves them unfinished. `on_progress` is told how many entries are done.
void write_columns(const RunStore& runs, const ColumnArrays& arrays, const TransposePlan& plan,
                   const std::function<void(std::uint64_t)>& on_progress, const std::stop_token& stop);

}  // namespace hox::ragged
