#include "homeobox/ragged/gather.h"

#include <algorithm>
#include <cstring>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/loaded_group.h"
#include "homeobox/ragged/row_decoder.h"

namespace hox::ragged {
namespace {

// A task is about so many elements: long enough to hide its start, short enough to balance two cores.
constexpr std::int64_t kTaskElements = 65536;

struct Task {
  std::size_t first_cell;
  std::size_t last_cell;
};

std::vector<Task> make_tasks(const CellRanges& cells) {
  std::vector<Task> tasks;
  std::size_t first = 0;
  std::int64_t elements = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells.group_of_cell[i] != kNoGroup) elements += cells.ends[i] - cells.begins[i];
    if (elements < kTaskElements && i + 1 < cells.size()) continue;
    tasks.push_back({first, i + 1});
    first = i + 1;
    elements = 0;
  }
  return tasks;
}

// All maps agree.
std::int64_t columns_of(std::span<const GatherGroup> groups) {
  return groups.empty() ? 0 : groups.front().columns->n_columns();
}

void check_views(std::span<const GatherGroup> groups) {
  for (const GatherGroup& group : groups) {
    group.indices->store().check_views();
    group.values->store().check_views();
  }
}

// Memory for indptr.back() entries; both products are checked, since the ranges come from an atlas.
void allocate_entries(CsrMatrix& matrix) {
  const auto n_entries = static_cast<std::uint64_t>(matrix.indptr.back());
  const auto index_bytes = checked_multiply<std::uint64_t>(n_entries, sizeof(std::int32_t));
  const auto value_bytes = checked_multiply<std::uint64_t>(n_entries, element_bytes(matrix.dtype));
  if (!index_bytes || !value_bytes) fail<InvalidArgument>("gather: {} entries do not fit in memory", n_entries);
  matrix.indices = RawBuffer(*index_bytes);
  matrix.data = RawBuffer(*value_bytes);
}

// Every row keeps all its entries: sizes are known, each row is decoded in its final place.
CsrMatrix gather_all(std::span<const LoadedGroup> groups, const CellRanges& cells, DataType dtype, RowOrder order,
                     std::int64_t n_columns, const ReadOptions& options) {
  CsrMatrix result;
  result.dtype = dtype;
  result.indptr.resize(cells.size() + 1);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::int64_t n = cells.group_of_cell[i] == kNoGroup ? 0 : cells.ends[i] - cells.begins[i];
    const auto sum = checked_add(result.indptr[i], n);
    if (!sum) fail<InvalidArgument>("gather: the entries of {} cells overflow", i + 1);
    result.indptr[i + 1] = *sum;
  }
  allocate_entries(result);
  auto* const columns = result.indices.as<std::uint32_t>();
  std::byte* const values = result.data.data();
  const std::vector<Task> tasks = make_tasks(cells);
  parallel_for(
      Runtime::cpu(), tasks.size(),
      [&](std::size_t task) {
        RowDecoder(n_columns, dtype, order)
            .decode_cells(groups, cells, tasks[task].first_cell, tasks[task].last_cell, result.indptr, columns, values);
      },
      options.stop);
  return result;
}

// Rows shrink: each task collects its entries, then they are put together.
CsrMatrix gather_kept(std::span<const LoadedGroup> groups, const CellRanges& cells, DataType dtype, RowOrder order,
                      std::int64_t n_columns, const ReadOptions& options) {
  struct Part {
    std::vector<std::uint32_t> columns;
    std::vector<std::byte> values;
  };
  CsrMatrix result;
  result.dtype = dtype;
  result.indptr.resize(cells.size() + 1);
  const std::vector<Task> tasks = make_tasks(cells);
  std::vector<Part> parts(tasks.size());
  parallel_for(
      Runtime::cpu(), tasks.size(),
      [&](std::size_t task) {
        RowDecoder decoder(n_columns, dtype, order);
        Part& part = parts[task];
        for (std::size_t cell = tasks[task].first_cell; cell < tasks[task].last_cell; ++cell) {
          if (cells.group_of_cell[cell] == kNoGroup || cells.begins[cell] == cells.ends[cell]) continue;
          const std::size_t kept =
              decoder.append_kept(groups[static_cast<std::size_t>(cells.group_of_cell[cell])], cell,
                                  static_cast<std::uint64_t>(cells.begins[cell]),
                                  static_cast<std::uint64_t>(cells.ends[cell]), part.columns, part.values);
          result.indptr[cell + 1] = static_cast<std::int64_t>(kept);
        }
      },
      options.stop);
  for (std::size_t i = 0; i < cells.size(); ++i) result.indptr[i + 1] += result.indptr[i];
  allocate_entries(result);
  std::uint64_t at = 0;
  for (const Part& part : parts) {
    std::copy(part.columns.begin(), part.columns.end(), result.indices.as<std::uint32_t>() + at);
    std::copy(part.values.begin(), part.values.end(), result.data.data() + at * element_bytes(dtype));
    at += part.columns.size();
  }
  return result;
}

}  // namespace

CsrMatrix gather_csr(std::span<const GatherGroup> groups, const CellRanges& cells, DataType dtype, RowOrder order,
                     const ReadOptions& options) {
  check_groups(groups, dtype);
  check_cells(groups, cells);
  const std::vector<LoadedGroup> loaded = load_groups(groups, cells, options);
  const bool drops = std::any_of(groups.begin(), groups.end(),
                                 [](const GatherGroup& group) { return group.columns->drops_features(); });
  CsrMatrix result = drops ? gather_kept(loaded, cells, dtype, order, columns_of(groups), options)
                           : gather_all(loaded, cells, dtype, order, columns_of(groups), options);
  check_views(groups);
  return result;
}

}  // namespace hox::ragged
