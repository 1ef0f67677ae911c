#include "homeobox/loader/epoch_order.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace hox::loader {
namespace {

// Uniform in [0, bound) without a division in the common case. Method: Lemire, "Fast random integer generation in an
// interval" (2019). std::uniform_int_distribution differs between standard libraries.
std::uint32_t draw_below(std::mt19937_64& random, std::uint32_t bound) {
  std::uint64_t product = (random() >> 32) * bound;
  auto low = static_cast<std::uint32_t>(product);
  if (low < bound) {
    const std::uint32_t threshold = (0U - bound) % bound;
    while (low < threshold) {
      product = (random() >> 32) * bound;
      low = static_cast<std::uint32_t>(product);
    }
  }
  return static_cast<std::uint32_t>(product >> 32);
}

}  // namespace

EpochOrder::EpochOrder(std::uint32_t n_cells, bool shuffle) : cells_(n_cells), shuffle_(shuffle) {
  std::iota(cells_.begin(), cells_.end(), 0U);
}

void EpochOrder::restart(std::uint64_t seed, std::uint64_t epoch) {
  drawn_ = 0;
  if (!shuffle_) return;
  std::iota(cells_.begin(), cells_.end(), 0U);  // the order depends on seed and epoch, not on the epochs before
  const std::array<std::uint32_t, 4> words = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                                              static_cast<std::uint32_t>(epoch),
                                              static_cast<std::uint32_t>(epoch >> 32)};
  std::seed_seq sequence(words.begin(), words.end());
  random_.seed(sequence);
}

std::span<const std::uint32_t> EpochOrder::next(std::uint32_t n) {
  const std::uint32_t first = drawn_;
  const std::uint32_t last = first + std::min(n, remaining());
  if (shuffle_) {
    const auto n_cells = static_cast<std::uint32_t>(cells_.size());
    for (std::uint32_t i = first; i < last; ++i) std::swap(cells_[i], cells_[i + draw_below(random_, n_cells - i)]);
  }
  drawn_ = last;
  return std::span(cells_).subspan(first, last - first);
}

}  // namespace hox::loader
