// Overlap: computing on one item while the next is read and the one before is put away.
//
// Three stages pass their results on by slots: in step t item t is read, item t - 1 computed and item t - 2 written,
// all at the same time, so two slots, used by even and odd items in turn, are enough and need no lock. Reading and
// writing run on the I/O pool. Computing runs on the calling thread, which spreads it over the CPU pool.
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <vector>

namespace hox::ragged {

using ItemTask = std::function<void(std::size_t item, const std::stop_token&)>;

struct OverlapStages {
  // Tasks that share the reading of one item.
  std::vector<ItemTask> read;
  ItemTask compute;
  // May be empty.
  ItemTask write;
};

// `after_step` runs on the calling thread between steps, with the numbers of items that were read and computed. The
// first exception stops the other tasks and is rethrown when they have returned. Throws Cancelled when stopped.
void run_overlapped(std::size_t n_items, const OverlapStages& stages,
                    const std::function<void(std::size_t n_read, std::size_t n_computed)>& after_step,
                    const std::stop_token& stop);

}  // namespace hox::ragged
