#include "homeobox/ragged/dense_gather.h"

#include <cstring>
#include <vector>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/convert.h"
#include "homeobox/ragged/gather.h"

namespace hox::ragged {
namespace {

void check_group(const DenseGroup& group, std::int64_t n_columns) {
  const auto& shape = group.layer->metadata().shape;
  if (shape.size() != 2)
    fail<CorruptData>("array {}: two dimensions expected, {} found", group.layer->path(), shape.size());
  if (shape[1] != group.local_to_joined.size())
    fail<CorruptData>("array {}: {} features, but its layout has {}", group.layer->path(), shape[1],
                      group.local_to_joined.size());
  for (const std::int32_t column : group.local_to_joined)
    if (column < kAbsent || column >= n_columns)
      fail<InvalidArgument>("remap: column {} outside [-1, {})", column, n_columns);
  check_conversion(group.layer->metadata().dtype, DataType::kFloat32);
}

// Rows of one group, in the order of the cells that want them.
struct GroupRows {
  std::vector<std::size_t> cells;
  std::vector<std::int64_t> begins;
  std::vector<std::int64_t> ends;
};

void scatter_rows(const DenseGroup& group, const GroupRows& rows, std::int64_t n_columns, float* out,
                  const ReadOptions& options) {
  const std::size_t n_features = group.local_to_joined.size();
  const DataType dtype = group.layer->metadata().dtype;
  const std::size_t row_bytes = n_features * element_bytes(dtype);
  RawBuffer native(rows.cells.size() * row_bytes);
  group.layer->read_ranges(rows.begins, rows.ends, {native.data(), native.size()}, options);
  std::vector<float> row(n_features);
  for (std::size_t i = 0; i < rows.cells.size(); ++i) {
    convert(dtype, native.data() + i * row_bytes, DataType::kFloat32, reinterpret_cast<std::byte*>(row.data()),
            n_features);
    float* const target = out + rows.cells[i] * static_cast<std::size_t>(n_columns);
    for (std::size_t local = 0; local < n_features; ++local)
      if (group.local_to_joined[local] != kAbsent) target[group.local_to_joined[local]] = row[local];
  }
}

}  // namespace

RawBuffer gather_dense(std::span<const DenseGroup> groups, std::span<const std::int32_t> group_of_cell,
                       std::span<const std::int64_t> positions, std::int64_t n_columns, const ReadOptions& options) {
  if (positions.size() != group_of_cell.size())
    fail<InvalidArgument>("gather: {} cells, but {} positions", group_of_cell.size(), positions.size());
  for (const DenseGroup& group : groups) check_group(group, n_columns);
  const auto n_elements = checked_multiply(static_cast<std::uint64_t>(group_of_cell.size()),
                                           static_cast<std::uint64_t>(n_columns) * sizeof(float));
  if (!n_elements) fail<InvalidArgument>("gather: {} cells x {} columns overflow", group_of_cell.size(), n_columns);
  std::vector<GroupRows> rows(groups.size());
  for (std::size_t cell = 0; cell < group_of_cell.size(); ++cell) {
    const std::int32_t group = group_of_cell[cell];
    if (group == kNoGroup) continue;
    if (group < 0 || static_cast<std::size_t>(group) >= groups.size())
      fail<OutOfRange>("gather: cell {} is in group {}, but there are {}", cell, group, groups.size());
    GroupRows& of_group = rows[static_cast<std::size_t>(group)];
    of_group.cells.push_back(cell);
    of_group.begins.push_back(positions[cell]);
    of_group.ends.push_back(positions[cell] + 1);
  }
  RawBuffer result(*n_elements);
  std::memset(result.data(), 0, result.size());
  for (std::size_t group = 0; group < groups.size(); ++group)
    if (!rows[group].cells.empty()) scatter_rows(groups[group], rows[group], n_columns, result.as<float>(), options);
  return result;
}

}  // namespace hox::ragged
