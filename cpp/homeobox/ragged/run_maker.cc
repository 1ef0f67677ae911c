#include "homeobox/ragged/run_maker.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "homeobox/base/checked.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/overlap.h"

namespace hox::ragged {
namespace {

RangeSource fetch(const std::shared_ptr<const zarr::Array>& array, std::span<const EntryBlock> blocks,
                  const std::stop_token& stop) {
  const auto begin = static_cast<std::int64_t>(blocks.front().begin);
  const auto end = static_cast<std::int64_t>(blocks.back().end);
  return RangeSource(array, {&begin, 1}, {&end, 1}, ReadOptions{stop});
}

}  // namespace

void RunMaker::make_runs(RunStore& runs, const std::function<void(std::uint64_t)>& on_progress,
                         const std::stop_token& stop) {
  const std::vector<EntryBlock> blocks = split_into_blocks(source_.row_bounds, plan_.block_entries);
  const auto blocks_of = [&](std::size_t window) {
    const std::size_t begin = window * plan_.window_blocks;
    return std::span(blocks).subspan(begin, std::min(plan_.window_blocks, blocks.size() - begin));
  };
  std::vector<std::shared_ptr<const zarr::Array>> arrays = {source_.indices};
  arrays.insert(arrays.end(), source_.layers.begin(), source_.layers.end());
  std::array<std::vector<std::optional<RangeSource>>, 2> fetched;
  for (auto& sources : fetched) sources.resize(arrays.size());
  std::array<std::vector<CscRun>, 2> made;

  OverlapStages stages;
  for (std::size_t array = 0; array < arrays.size(); ++array)
    stages.read.emplace_back([&, array](std::size_t i, const std::stop_token& step_stop) {
      fetched[i % 2][array].emplace(fetch(arrays[array], blocks_of(i), step_stop));
    });
  stages.compute = [&](std::size_t i, const std::stop_token& step_stop) {
    std::vector<RangeSource> sources;
    for (std::optional<RangeSource>& source : fetched[i % 2]) {
      sources.push_back(std::move(*source));
      source.reset();
    }
    made[i % 2] = transpose_blocks(blocks_of(i), sources, step_stop);
  };
  stages.write = [&](std::size_t i, const std::stop_token&) {
    for (CscRun& run : made[i % 2]) runs.add(std::move(run));
    made[i % 2].clear();
  };
  const auto after_step = [&](std::size_t, std::size_t n_computed) {
    if (n_computed > 0) on_progress(blocks_of(n_computed - 1).back().end);
  };
  run_overlapped(ceil_divide(blocks.size(), plan_.window_blocks), stages, after_step, stop);
  spare_transposers_.clear();
}

std::vector<CscRun> RunMaker::transpose_blocks(std::span<const EntryBlock> blocks,
                                               const std::vector<RangeSource>& fetched, const std::stop_token& stop) {
  std::vector<CscRun> runs(blocks.size());
  const auto transpose = [&](std::size_t i) {
    std::unique_ptr<BlockTransposer> transposer = take_transposer();
    runs[i] = transposer->transpose(blocks[i], fetched.front(), std::span(fetched).subspan(1));
    const std::lock_guard lock(mutex_);
    spare_transposers_.push_back(std::move(transposer));
  };
  parallel_for(Runtime::cpu(), blocks.size(), transpose, stop);
  return runs;
}

std::unique_ptr<BlockTransposer> RunMaker::take_transposer() {
  {
    const std::lock_guard lock(mutex_);
    if (!spare_transposers_.empty()) {
      std::unique_ptr<BlockTransposer> spare = std::move(spare_transposers_.back());
      spare_transposers_.pop_back();
      return spare;
    }
  }
  return std::make_unique<BlockTransposer>(source_.row_bounds, source_.n_features, source_.local_of_stored);
}

}  // namespace hox::ragged
