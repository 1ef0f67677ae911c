#include "homeobox/ragged/column_map.h"

#include <algorithm>
#include <bit>

#include "homeobox/base/error.h"

namespace hox::ragged {
namespace {

constexpr std::int32_t kUnknown = kAbsent - 1;  // a feature that the group does not have

}  // namespace

ColumnMap::ColumnMap(std::span<const std::uint32_t> feature_order, std::span<const std::int32_t> local_to_joined,
                     std::int64_t n_columns)
    : stored_to_joined_(std::bit_ceil(local_to_joined.size()), kUnknown),
      n_features_(static_cast<std::uint32_t>(local_to_joined.size())),
      n_columns_(n_columns) {
  const std::size_t n = local_to_joined.size();
  if (!feature_order.empty() && feature_order.size() != n)
    fail<CorruptData>("feature order: {} features expected, {} found", n, feature_order.size());
  std::vector<bool> seen(feature_order.empty() ? 0 : n);
  std::int32_t previous = kAbsent;
  for (std::size_t stored = 0; stored < n; ++stored) {
    const std::size_t local = feature_order.empty() ? stored : feature_order[stored];
    if (local >= n || (!seen.empty() && seen[local]))
      fail<CorruptData>("feature order: entry {} is {}, not a permutation of {} features", stored, local, n);
    if (!seen.empty()) seen[local] = true;
    const std::int32_t joined = local_to_joined[local];
    if (joined < kAbsent || joined >= n_columns)
      fail<InvalidArgument>("remap: feature {} goes to column {}, outside [-1, {})", local, joined, n_columns);
    stored_to_joined_[stored] = joined;
    if (joined == kAbsent) {
      drops_features_ = true;
    } else {
      keeps_order_ = keeps_order_ && joined > previous;
      previous = joined;
    }
  }
}

std::size_t ColumnMap::apply(std::span<std::uint32_t> row) const noexcept {
  // The padding makes one test of all bits enough for every look-up to stay inside the map; what the padding answers
  // is found in the results.
  std::uint32_t bits = 0;
  for (const std::uint32_t stored : row) bits |= stored;
  if (bits >= stored_to_joined_.size()) [[unlikely]] {
    const auto bad =
        std::find_if(row.begin(), row.end(), [this](std::uint32_t stored) { return stored >= n_features_; });
    if (bad != row.end()) return static_cast<std::size_t>(bad - row.begin());
  }
  const std::int32_t* const map = stored_to_joined_.data();
  std::int32_t least = 0;
  for (std::uint32_t& entry : row) {
    const std::int32_t joined = map[entry];
    least = std::min(least, joined);
    entry = static_cast<std::uint32_t>(joined);
  }
  if (least > kUnknown) [[likely]]
    return row.size();
  return static_cast<std::size_t>(std::find(row.begin(), row.end(), static_cast<std::uint32_t>(kUnknown)) -
                                  row.begin());
}

}  // namespace hox::ragged
