#include "homeobox/ragged/transpose_plan.h"

#include <algorithm>

namespace hox::ragged {
namespace {

// A run of so many entries fits in the last-level cache while its entries are scattered, and its pieces (some 30
// entries per gene) are long enough to be joined at the speed of a copy.
constexpr std::uint64_t kBlockEntries = std::uint64_t{1} << 20;
// With more runs than this the second pass would read pieces of a few kilobytes, so blocks grow instead.
constexpr std::uint64_t kMaxRuns = 256;
constexpr std::uint64_t kMinBlockEntries = 1024;
constexpr std::uint32_t kMinRangeFeatures = 64;

}  // namespace

TransposePlan plan_transpose(const TransposeShape& shape, std::uint64_t memory_bytes) {
  const std::uint64_t value_bytes = shape.value_bytes;
  TransposePlan plan{};
  // Two windows are under way at once: one is read while the one before is transposed, which is kept after that. An
  // entry counts twice in each, as it was read and as a part of a run. A worker has a place and a narrow value for it.
  plan.window_blocks = 2 * shape.n_workers;
  const std::uint64_t block_entry_bytes =
      plan.window_blocks * 4 * (sizeof(std::uint16_t) + value_bytes) + shape.n_workers * 6;
  const std::uint64_t most = memory_bytes / 2 / block_entry_bytes;
  const std::uint64_t wanted = std::max({kBlockEntries, shape.n_entries / kMaxRuns, std::uint64_t{shape.n_features}});
  plan.block_entries = std::max(kMinBlockEntries, std::min(wanted, most));

  // Two ranges are under way at once as well, with their pieces and with their result.
  const std::uint64_t range_entry_bytes = 2 * (2 * value_bytes + sizeof(std::uint16_t) + sizeof(std::uint32_t));
  plan.range_entries = std::max(plan.block_entries, memory_bytes / 8 / range_entry_bytes);

  // And the offsets of each feature in each run.
  const std::uint64_t n_runs = shape.n_entries / plan.block_entries + 1;
  const std::uint64_t range_features = memory_bytes / 16 / (2 * sizeof(std::uint32_t) * n_runs);
  plan.range_features = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(range_features, kMinRangeFeatures, std::max(kMinRangeFeatures, shape.n_features)));
  const std::uint64_t offset_bytes = 2 * sizeof(std::uint32_t) * n_runs * plan.range_features;

  const std::uint64_t first_pass = plan.block_entries * block_entry_bytes;
  const std::uint64_t second_pass = plan.range_entries * range_entry_bytes + offset_bytes + shape.writer_bytes;
  const std::uint64_t used = std::max(first_pass, second_pass) + memory_bytes / 16;
  plan.held_bytes = memory_bytes > used ? memory_bytes - used : 0;
  return plan;
}

}  // namespace hox::ragged
