#include "homeobox/ragged/gather.h"

#include <algorithm>
#include <cstring>

#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/convert.h"
#include "homeobox/ragged/row_decoder.h"

namespace hox::ragged {
namespace {

// A task is about so many elements: long enough to hide its start, short enough to balance two cores.
constexpr std::int64_t kTaskElements = 65536;

struct Task {
  std::size_t first_cell;
  std::size_t last_cell;
};

void check_request(std::span<const GatherGroup> groups, const CellRanges& cells, DataType dtype) {
  if (cells.begins.size() != cells.size() || cells.ends.size() != cells.size())
    fail<InvalidArgument>("gather: {} cells, but {} begins and {} ends", cells.size(), cells.begins.size(),
                          cells.ends.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::int32_t group = cells.group_of_cell[i];
    if (group != kNoGroup && (group < 0 || static_cast<std::size_t>(group) >= groups.size()))
      fail<OutOfRange>("gather: cell {} is in group {}, but there are {}", i, group, groups.size());
  }
  for (const GatherGroup& group : groups) {
    if (group.columns->n_columns() != groups.front().columns->n_columns())
      fail<InvalidArgument>("gather: a result of {} columns, but one group's map has {}",
                            groups.front().columns->n_columns(), group.columns->n_columns());
    const std::uint64_t n_indices = group.indices->metadata().shape.empty() ? 0 : group.indices->metadata().shape[0];
    const std::uint64_t n_values = group.values->metadata().shape.empty() ? 0 : group.values->metadata().shape[0];
    if (n_indices != n_values)
      fail<CorruptData>("array {} has {} elements, but {} has {}", group.indices->path(), n_indices,
                        group.values->path(), n_values);
    if (info(group.indices->metadata().dtype).kind != 'u' && info(group.indices->metadata().dtype).kind != 'i')
      fail<CorruptData>("array {}: indices of an integer type expected, {} found", group.indices->path(),
                        name(group.indices->metadata().dtype));
    check_conversion(group.values->metadata().dtype, dtype);
  }
}

// Makes each group's chunks available; ranges are checked on the way.
std::vector<LoadedGroup> load_groups(std::span<const GatherGroup> groups, const CellRanges& cells,
                                     const ReadOptions& options) {
  std::vector<std::vector<std::int64_t>> begins(groups.size());
  std::vector<std::vector<std::int64_t>> ends(groups.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells.group_of_cell[i] == kNoGroup) continue;
    const auto group = static_cast<std::size_t>(cells.group_of_cell[i]);
    begins[group].push_back(cells.begins[i]);
    ends[group].push_back(cells.ends[i]);
  }
  std::vector<LoadedGroup> loaded;
  loaded.reserve(groups.size());
  for (std::size_t group = 0; group < groups.size(); ++group) {
    loaded.push_back({RangeSource(groups[group].indices, begins[group], ends[group], options),
                      RangeSource(groups[group].values, begins[group], ends[group], options),
                      groups[group].columns.get()});
  }
  return loaded;
}

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

// Every row keeps all its entries: sizes are known, each row is decoded in its final place.
CsrMatrix gather_all(std::span<const LoadedGroup> groups, const CellRanges& cells, DataType dtype, RowOrder order,
                     std::int64_t n_columns, const ReadOptions& options) {
  CsrMatrix result;
  result.dtype = dtype;
  result.indptr.resize(cells.size() + 1);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::int64_t n = cells.group_of_cell[i] == kNoGroup ? 0 : cells.ends[i] - cells.begins[i];
    result.indptr[i + 1] = result.indptr[i] + n;
  }
  const auto n_entries = static_cast<std::uint64_t>(result.indptr.back());
  result.indices = RawBuffer(n_entries * sizeof(std::int32_t));
  result.data = RawBuffer(n_entries * element_bytes(dtype));
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
  const auto n_entries = static_cast<std::uint64_t>(result.indptr.back());
  result.indices = RawBuffer(n_entries * sizeof(std::int32_t));
  result.data = RawBuffer(n_entries * element_bytes(dtype));
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
  check_request(groups, cells, dtype);
  const std::vector<LoadedGroup> loaded = load_groups(groups, cells, options);
  const bool drops = std::any_of(groups.begin(), groups.end(),
                                 [](const GatherGroup& group) { return group.columns->drops_features(); });
  CsrMatrix result = drops ? gather_kept(loaded, cells, dtype, order, columns_of(groups), options)
                           : gather_all(loaded, cells, dtype, order, columns_of(groups), options);
  check_views(groups);
  return result;
}

}  // namespace hox::ragged
