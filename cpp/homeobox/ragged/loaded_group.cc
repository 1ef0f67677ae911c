#include "homeobox/ragged/loaded_group.h"

#include <optional>

#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/convert.h"

namespace hox::ragged {
namespace {

std::uint64_t elements_of(const zarr::Array& array) {
  const auto& shape = array.metadata().shape;
  if (shape.size() != 1) fail<CorruptData>("array {}: one dimension expected, {} found", array.path(), shape.size());
  return shape[0];
}

}  // namespace

void check_groups(std::span<const GatherGroup> groups, DataType dtype) {
  for (const GatherGroup& group : groups) {
    if (group.columns->n_columns() != groups.front().columns->n_columns())
      fail<InvalidArgument>("a result of {} columns, but the map of {} has {}", groups.front().columns->n_columns(),
                            group.indices->path(), group.columns->n_columns());
    const std::uint64_t n_indices = elements_of(*group.indices);
    const std::uint64_t n_values = elements_of(*group.values);
    if (n_indices != n_values)
      fail<CorruptData>("array {} has {} elements, but {} has {}", group.indices->path(), n_indices,
                        group.values->path(), n_values);
    const DataTypeInfo& index_type = info(group.indices->metadata().dtype);
    if (index_type.kind != 'u' && index_type.kind != 'i')
      fail<CorruptData>("array {}: indices of an integer type expected, {} found", group.indices->path(),
                        index_type.name);
    check_conversion(group.values->metadata().dtype, dtype);
  }
}

void check_cells(std::span<const GatherGroup> groups, const CellRanges& cells) {
  if (cells.begins.size() != cells.size() || cells.ends.size() != cells.size())
    fail<InvalidArgument>("{} cells, but {} begins and {} ends", cells.size(), cells.begins.size(), cells.ends.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::int32_t group = cells.group_of_cell[i];
    if (group == kNoGroup) continue;
    if (group < 0 || static_cast<std::size_t>(group) >= groups.size())
      fail<OutOfRange>("cell {} is in group {}, but there are {}", i, group, groups.size());
    const zarr::Array& indices = *groups[static_cast<std::size_t>(group)].indices;
    const std::uint64_t n_elements = indices.metadata().shape[0];
    if (cells.begins[i] < 0 || cells.begins[i] > cells.ends[i] ||
        static_cast<std::uint64_t>(cells.ends[i]) > n_elements)
      fail<OutOfRange>("array {}: cell {} is elements [{}, {}), outside its {} elements", indices.path(), i,
                       cells.begins[i], cells.ends[i], n_elements);
  }
}

std::vector<LoadedGroup> load_groups(std::span<const GatherGroup> groups, const CellRanges& cells,
                                     const ReadOptions& options) {
  std::vector<std::vector<std::int64_t>> begins(groups.size());
  std::vector<std::vector<std::int64_t>> ends(groups.size());
  bool fetches = false;
  for (const GatherGroup& group : groups)
    fetches = fetches || !group.indices->has_views() || !group.values->has_views();
  for (std::size_t i = 0; fetches && i < cells.size(); ++i) {
    if (cells.group_of_cell[i] == kNoGroup) continue;
    const auto group = static_cast<std::size_t>(cells.group_of_cell[i]);
    begins[group].push_back(cells.begins[i]);
    ends[group].push_back(cells.ends[i]);
  }
  std::vector<std::optional<RangeSource>> sources(2 * groups.size());
  const auto load = [&](std::size_t i, const std::stop_token& stop) {
    const GatherGroup& group = groups[i / 2];
    sources[i].emplace(i % 2 == 0 ? group.indices : group.values, begins[i / 2], ends[i / 2], ReadOptions{stop});
  };
  if (fetches) {
    parallel_for(Runtime::io(), sources.size(), load, options.stop);
  } else {
    for (std::size_t i = 0; i < sources.size(); ++i) load(i, options.stop);
  }
  std::vector<LoadedGroup> loaded;
  loaded.reserve(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i)
    loaded.push_back({std::move(*sources[2 * i]), std::move(*sources[2 * i + 1]), groups[i].columns.get()});
  return loaded;
}

}  // namespace hox::ragged
