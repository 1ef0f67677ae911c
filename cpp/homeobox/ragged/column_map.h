// ColumnMap: from a feature as one group stores it to its column in a joined result.
//
// Three index spaces meet here and nowhere else. *Stored*: what csr/indices holds. *Local*: position in the group's
// layout, the user's order; csr/feature_order leads from stored to local. *Joined*: column of the result, or kAbsent
// when the result does not want the feature. The map composes stored -> local -> joined once per group.
//
// Immutable; may be shared between threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hox::ragged {

inline constexpr std::int32_t kAbsent = -1;

class ColumnMap {
 public:
  // `feature_order[stored]` is the local feature; empty means stored and local are the same. Throws CorruptData unless
  // it is a permutation as long as `local_to_joined`, and InvalidArgument for a column outside [-1, n_columns).
  ColumnMap(std::span<const std::uint32_t> feature_order, std::span<const std::int32_t> local_to_joined,
            std::int64_t n_columns);

  std::uint32_t n_features() const noexcept { return n_features_; }
  std::int64_t n_columns() const noexcept { return n_columns_; }

  // Some feature is absent from the result, so rows shrink.
  bool drops_features() const noexcept { return drops_features_; }

  // In place: stored features become joined columns. Returns the position of the first feature that the group does not
  // have, or `row.size()`. The row is unspecified from there on.
  std::size_t apply(std::span<std::uint32_t> row) const noexcept;

 private:
  // One of the two, by stored feature. The narrow form, for few columns of which none is kAbsent, takes half the cache.
  std::vector<std::int32_t> wide_;
  std::vector<std::uint16_t> narrow_;
  std::uint32_t n_features_;
  std::int64_t n_columns_;
  bool drops_features_ = false;
};

}  // namespace hox::ragged
