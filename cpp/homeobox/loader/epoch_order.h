// EpochOrder: the order in which one epoch visits the cells: as they are, or a uniform random permutation.
//
// A seed and an epoch number define the permutation on every platform: a forward Fisher-Yates shuffle driven by the
// standard's mt19937_64 and unbiased bounded draws. Drawn lazily, so an epoch starts at once. 4 bytes per cell.
//
// Not thread-safe: the one who plans batches owns it.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace hox::loader {

class EpochOrder {
 public:
  explicit EpochOrder(std::uint32_t n_cells, bool shuffle);

  // Back to the first cell, of epoch `epoch` under `seed`.
  void restart(std::uint64_t seed, std::uint64_t epoch);

  // The next cells of the order; fewer than asked at the end, none after it. Valid until the next call.
  std::span<const std::uint32_t> next(std::uint32_t n);

  // Nothing remains.
  void finish() noexcept { drawn_ = static_cast<std::uint32_t>(cells_.size()); }

  std::uint32_t remaining() const noexcept { return static_cast<std::uint32_t>(cells_.size()) - drawn_; }

 private:
  std::vector<std::uint32_t> cells_;  // [0, drawn_) is the order so far, the rest is yet to be drawn
  std::uint32_t drawn_ = 0;
  bool shuffle_;
  std::mt19937_64 random_;
};

}  // namespace hox::loader
