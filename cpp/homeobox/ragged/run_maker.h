// RunMaker: the first pass of a transposition, from CSR arrays to runs.
//
// Windows of blocks are fetched while the one before is decoded and transposed, a block per thread, and the one before
// that is put away.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <vector>

#include "homeobox/ragged/csc_run.h"
#include "homeobox/ragged/run_store.h"
#include "homeobox/ragged/transpose_plan.h"

namespace hox::ragged {

// What is transposed. Whoever makes it has checked that the arrays are flat and as long as row_bounds say.
struct CsrSource {
  std::shared_ptr<const zarr::Array> indices;
  std::vector<std::shared_ptr<const zarr::Array>> layers;
  std::span<const std::int64_t> row_bounds;
  std::uint32_t n_features = 0;
  std::span<const std::uint32_t> local_of_stored;
};

class RunMaker {
 public:
  // Both must outlive this.
  RunMaker(const CsrSource& source, const TransposePlan& plan) : source_(source), plan_(plan) {}

  // Adds the runs of all blocks in order. `on_progress` is told how many entries are done.
  void make_runs(RunStore& runs, const std::function<void(std::uint64_t)>& on_progress, const std::stop_token& stop);

 private:
  std::vector<CscRun> transpose_blocks(std::span<const EntryBlock> blocks, const std::vector<RangeSource>& fetched,
                                       const std::stop_token& stop);
  std::unique_ptr<BlockTransposer> take_transposer();

  const CsrSource& source_;
  const TransposePlan& plan_;
  std::mutex mutex_;  // guards what follows
  std::vector<std::unique_ptr<BlockTransposer>> spare_transposers_;
};

}  // namespace hox::ragged
