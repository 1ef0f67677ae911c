#include "homeobox/ragged/dense_gather.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/convert.h"
#include "homeobox/ragged/gather.h"

namespace hox::ragged {
namespace {

constexpr std::size_t kSliceBytes = std::size_t{16} << 20;
constexpr std::size_t kTaskRows = 64;

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

// One row, converted and put in its place.
void scatter_row(const DenseGroup& group, const std::byte* native, float* scratch, float* target) {
  const std::size_t n_features = group.local_to_joined.size();
  convert(group.layer->metadata().dtype, native, DataType::kFloat32, reinterpret_cast<std::byte*>(scratch), n_features);
  for (std::size_t local = 0; local < n_features; ++local)
    if (group.local_to_joined[local] != kAbsent) target[group.local_to_joined[local]] = scratch[local];
}

// In slices of rows, so that the stored form of the rows is never in memory as a whole.
void scatter_rows(const DenseGroup& group, const GroupRows& rows, std::int64_t n_columns, float* out,
                  const ReadOptions& options) {
  const std::size_t n_features = group.local_to_joined.size();
  const std::size_t row_bytes = n_features * element_bytes(group.layer->metadata().dtype);
  const std::size_t slice_rows = std::max<std::size_t>(1, kSliceBytes / std::max<std::size_t>(1, row_bytes));
  RawBuffer native(std::min(slice_rows, rows.cells.size()) * row_bytes);
  for (std::size_t first = 0; first < rows.cells.size(); first += slice_rows) {
    const std::size_t n_rows = std::min(slice_rows, rows.cells.size() - first);
    group.layer->read_ranges(std::span(rows.begins).subspan(first, n_rows), std::span(rows.ends).subspan(first, n_rows),
                             {native.data(), n_rows * row_bytes}, options);
    const std::size_t n_tasks = ceil_divide<std::size_t>(n_rows, kTaskRows);
    parallel_for(
        Runtime::cpu(), n_tasks,
        [&](std::size_t task) {
          std::vector<float> scratch(n_features);
          const std::size_t end = std::min(n_rows, (task + 1) * kTaskRows);
          for (std::size_t i = task * kTaskRows; i < end; ++i)
            scatter_row(group, native.data() + i * row_bytes, scratch.data(),
                        out + rows.cells[first + i] * static_cast<std::size_t>(n_columns));
        },
        options.stop);
  }
}

}  // namespace

RawBuffer gather_dense(std::span<const DenseGroup> groups, std::span<const std::int32_t> group_of_cell,
                       std::span<const std::int64_t> positions, std::int64_t n_columns, const ReadOptions& options) {
  if (positions.size() != group_of_cell.size())
    fail<InvalidArgument>("gather: {} cells, but {} positions", group_of_cell.size(), positions.size());
  for (const DenseGroup& group : groups) check_group(group, n_columns);
  if (n_columns < 0) fail<InvalidArgument>("gather: 0 columns or more expected, found {}", n_columns);
  const auto row_bytes = checked_multiply<std::uint64_t>(static_cast<std::uint64_t>(n_columns), sizeof(float));
  const auto n_bytes = row_bytes ? checked_multiply<std::uint64_t>(group_of_cell.size(), *row_bytes) : std::nullopt;
  if (!n_bytes) fail<InvalidArgument>("gather: {} cells x {} columns overflow", group_of_cell.size(), n_columns);
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
  RawBuffer result(*n_bytes);
  std::memset(result.data(), 0, result.size());
  for (std::size_t group = 0; group < groups.size(); ++group)
    if (!rows[group].cells.empty()) scatter_rows(groups[group], rows[group], n_columns, result.as<float>(), options);
  return result;
}

}  // namespace hox::ragged
