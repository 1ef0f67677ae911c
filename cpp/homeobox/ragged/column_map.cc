#include "homeobox/ragged/column_map.h"

#include <algorithm>

#include "homeobox/base/error.h"

namespace hox::ragged {

ColumnMap::ColumnMap(std::span<const std::uint32_t> feature_order, std::span<const std::int32_t> local_to_joined,
                     std::int64_t n_columns)
    : stored_to_joined_(local_to_joined.size()), n_columns_(n_columns) {
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
    is_identity_ = is_identity_ && joined == static_cast<std::int64_t>(stored);
  }
}

std::size_t ColumnMap::apply(std::span<std::uint32_t> row) const noexcept {
  const std::uint32_t n = n_features();
  std::uint32_t largest = 0;
  for (const std::uint32_t stored : row) largest = std::max(largest, stored);
  if (largest >= n && !row.empty()) {
    const auto bad = std::find_if(row.begin(), row.end(), [n](std::uint32_t stored) { return stored >= n; });
    return static_cast<std::size_t>(bad - row.begin());
  }
  if (is_identity_) return row.size();
  const std::int32_t* const map = stored_to_joined_.data();
  for (std::uint32_t& entry : row) entry = static_cast<std::uint32_t>(map[entry]);
  return row.size();
}

}  // namespace hox::ragged
