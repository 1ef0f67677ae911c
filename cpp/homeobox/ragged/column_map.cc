#include "homeobox/ragged/column_map.h"

#include <algorithm>

#include "homeobox/base/error.h"

namespace hox::ragged {
namespace {

constexpr std::int64_t kMostNarrowColumns = 65536;

}  // namespace

ColumnMap::ColumnMap(std::span<const std::uint32_t> feature_order, std::span<const std::int32_t> local_to_joined,
                     std::int64_t n_columns)
    : wide_(local_to_joined.size()),
      n_features_(static_cast<std::uint32_t>(local_to_joined.size())),
      n_columns_(n_columns) {
  const std::size_t n = local_to_joined.size();
  if (!feature_order.empty() && feature_order.size() != n)
    fail<CorruptData>("feature order: {} features expected, {} found", n, feature_order.size());
  std::vector<bool> seen(feature_order.empty() ? 0 : n);
  for (std::size_t stored = 0; stored < n; ++stored) {
    const std::size_t local = feature_order.empty() ? stored : feature_order[stored];
    if (local >= n || (!seen.empty() && seen[local]))
      fail<CorruptData>("feature order: entry {} is {}, not a permutation of {} features", stored, local, n);
    if (!seen.empty()) seen[local] = true;
    const std::int32_t joined = local_to_joined[local];
    if (joined < kAbsent || joined >= n_columns)
      fail<InvalidArgument>("remap: feature {} goes to column {}, outside [-1, {})", local, joined, n_columns);
    wide_[stored] = joined;
    if (joined == kAbsent) drops_features_ = true;
  }
  if (drops_features_ || n_columns > kMostNarrowColumns) return;
  narrow_.assign(wide_.begin(), wide_.end());
  wide_.clear();
  wide_.shrink_to_fit();
}

std::size_t ColumnMap::apply(std::span<std::uint32_t> row) const noexcept {
  // One vectorised pass decides for all: the top bit of (last - v) | v is set just when v is above last.
  const std::uint32_t last = n_features_ - 1;
  std::uint32_t above = 0;
  for (const std::uint32_t stored : row) above |= (last - stored) | stored;
  if ((above >> 31) != 0 && !row.empty()) [[unlikely]] {
    const auto bad =
        std::find_if(row.begin(), row.end(), [this](std::uint32_t stored) { return stored >= n_features_; });
    return static_cast<std::size_t>(bad - row.begin());
  }
  const auto look_up = [row](const auto* map) {
#pragma GCC unroll 8
    for (std::uint32_t& entry : row) entry = static_cast<std::uint32_t>(map[entry]);
  };
  if (narrow_.empty()) {
    look_up(wide_.data());
  } else {
    look_up(narrow_.data());
  }
  return row.size();
}

}  // namespace hox::ragged
