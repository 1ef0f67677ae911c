// Dense gather: rows of many groups' two-dimensional layers, each with its own features, into one float32 matrix.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "homeobox/base/raw_buffer.h"
#include "homeobox/ragged/column_map.h"
#include "homeobox/zarr/array.h"

namespace hox::ragged {

// One group's layer, (cells, features), and the joined column of each of its features.
struct DenseGroup {
  std::shared_ptr<const zarr::Array> layer;
  std::span<const std::int32_t> local_to_joined;
};

// Row i is row positions[i] of group group_of_cell[i]; columns that no feature goes to are zero, and so are rows of
// kNoGroup. Returns cells x n_columns float32, C order. Throws OutOfRange, InvalidArgument and CorruptData.
RawBuffer gather_dense(std::span<const DenseGroup> groups, std::span<const std::int32_t> group_of_cell,
                       std::span<const std::int64_t> positions, std::int64_t n_columns,
                       const ReadOptions& options = {});

}  // namespace hox::ragged
