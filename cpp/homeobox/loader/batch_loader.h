// BatchLoader: training batches of random cells, decoded ahead of their use.
//
// Plan, fetch, decode: next() plans batches (draws cells, adds up sizes) and hands them to the pools; each is one task
// that fetches its chunks where the store has no views and decodes every row into its final place. Batches come out in
// the order of the epoch whatever thread finished first. As many are in flight as keep the CPU pool busy and the
// byte budget allows, for their arrays and for what is fetched to make them; that is as much as was fetched for those
// before, until it is there.
//
// next() and restart() are for one thread at a time, and a second one is refused; so is a child of fork(). Batches may
// go anywhere and outlive the loader.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "homeobox/loader/buffer_pool.h"
#include "homeobox/loader/cell_pointers.h"
#include "homeobox/loader/epoch_order.h"
#include "homeobox/ragged/cell_ranges.h"

namespace hox::loader {

struct LoaderOptions {
  std::uint32_t batch_size = 512;
  bool shuffle = true;
  std::uint64_t seed = 0;
  bool drop_last = false;
  DataType dtype = DataType::kFloat32;
  ragged::RowOrder row_order = ragged::RowOrder::kStored;
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;
};

// CSR rows of one batch in one allocation. Immutable once handed out.
struct Batch {
  std::shared_ptr<RawBuffer> memory;
  std::vector<std::uint32_t> cells;  // positions in the query, in row order
  std::span<const std::int64_t> offsets;
  std::span<const std::int32_t> indices;
  std::span<const std::byte> values;
};

class BatchLoader {
 public:
  // All column maps have the same number of columns, and drop nothing. Throws InvalidArgument.
  BatchLoader(std::vector<ragged::GatherGroup> groups, CellPointers cells, LoaderOptions options);
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;
  ~BatchLoader();

  std::uint64_t n_batches() const noexcept;
  std::uint64_t n_cells() const noexcept;
  const LoaderOptions& options() const noexcept;
  // Of batches that are made, or kept by whoever got them, and of what was, or is about to be, fetched for them.
  std::uint64_t bytes_in_use() const;

  // Gives up what is in flight and begins epoch `epoch`.
  void restart(std::uint64_t epoch);

  // The next batch of the epoch; nullptr after its last. Waits, and answers interrupts. Rethrows what stopped a batch
  // from being made; the epoch is then over.
  std::shared_ptr<const Batch> next();

 private:
  struct Plan;
  struct InFlight;
  struct Shared;
  struct Fetch;
  void begin_epoch(std::uint64_t epoch);
  void give_up();
  void top_up();
  bool submit_next();
  void submit(const std::shared_ptr<InFlight>& work);

  std::shared_ptr<Shared> shared_;  // outlives the loader until its tasks have ended
  unsigned fork_generation_;
  std::atomic_flag busy_;
  std::stop_source stop_;  // of the current epoch
  EpochOrder order_;
  std::shared_ptr<BufferPool> pool_;
  std::deque<std::shared_ptr<InFlight>> in_flight_;
  std::unique_ptr<Plan> waiting_;  // planned, but over the budget for now
};

}  // namespace hox::loader
