#include "homeobox/ragged/column_writer.h"

#include <algorithm>
#include <array>

#include "homeobox/base/page_buffer.h"
#include "homeobox/ragged/overlap.h"

namespace hox::ragged {
namespace {

// Threads that share the reading of spilled pieces: one alone would wait for a cold disk between its reads.
constexpr std::size_t kLoaders = 4;

// A joined range, in memory for the largest of `ranges`.
struct Slab {
  Slab(std::span<const CscRange> ranges, const ColumnArrays& arrays) {
    std::uint64_t most = 0;
    for (const CscRange& range : ranges) most = std::max(most, range.n_entries);
    if (arrays.rows) rows = PageBuffer(most * sizeof(std::uint32_t));
    for (const DataType dtype : arrays.layer_dtypes) {
      layers.emplace_back(most * element_bytes(dtype));
      layer_data.push_back(layers.back().data());
    }
  }

  PageBuffer rows;
  std::vector<PageBuffer> layers;
  std::vector<std::byte*> layer_data;
};

void append(zarr::ArrayWriter& writer, const std::byte* data, std::uint64_t n_entries, std::size_t entry_bytes) {
  writer.append({data, n_entries * entry_bytes}, n_entries);
}

}  // namespace

void write_columns(const RunStore& runs, const ColumnArrays& arrays, const TransposePlan& plan,
                   const std::function<void(std::uint64_t)>& on_progress, const std::stop_token& stop) {
  const std::vector<CscRange> ranges = split_into_ranges(runs, plan.range_entries, plan.range_features);
  if (ranges.empty()) return;
  std::array<CscMerge, 2> merges = {CscMerge(runs, arrays.layer_dtypes, kLoaders),
                                    CscMerge(runs, arrays.layer_dtypes, kLoaders)};
  Slab slab(ranges, arrays);

  OverlapStages stages;
  for (std::size_t loader = 0; loader < kLoaders; ++loader)
    stages.read.emplace_back([&, loader](std::size_t i, const std::stop_token&) { merges[i % 2].load(loader); });
  stages.compute = [&](std::size_t i, const std::stop_token& step_stop) {
    merges[i % 2].merge(arrays.rows ? slab.rows.as<std::uint32_t>() : nullptr, slab.layer_data, step_stop);
    const std::uint64_t n = ranges[i].n_entries;
    if (arrays.rows) append(*arrays.rows, slab.rows.data(), n, sizeof(std::uint32_t));
    for (std::size_t layer = 0; layer < arrays.layers.size(); ++layer)
      append(*arrays.layers[layer], slab.layer_data[layer], n, element_bytes(arrays.layer_dtypes[layer]));
  };
  std::uint64_t n_done = 0;
  const auto after_step = [&](std::size_t n_read, std::size_t n_computed) {
    if (n_read < ranges.size()) merges[n_read % 2].start(ranges[n_read]);
    if (n_computed == 0) return;
    n_done += ranges[n_computed - 1].n_entries;
    on_progress(n_done);
  };
  merges[0].start(ranges[0]);
  run_overlapped(ranges.size(), stages, after_step, stop);
}

}  // namespace hox::ragged
