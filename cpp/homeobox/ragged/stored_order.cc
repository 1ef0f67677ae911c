#include "homeobox/ragged/stored_order.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/row_sorter.h"

namespace hox::ragged {
namespace {

constexpr std::size_t kTaskRows = 256;

// Sorts rows of one worker: features are renumbered into `columns`, values are permuted alongside.
class RowReorderer {
 public:
  RowReorderer(std::int64_t n_features, std::span<const std::uint32_t> stored_of_local)
      : n_features_(static_cast<std::uint64_t>(n_features)), stored_of_local_(stored_of_local), sorter_(n_features) {}

  template <class Index>
  void reorder(const CsrInput& input, std::span<const LayerInput> layers, std::size_t row, std::int64_t origin,
               std::uint32_t* stored) {
    const std::int64_t begin = input.indptr[row];
    const auto n = static_cast<std::size_t>(input.indptr[row + 1] - begin);
    const auto at = static_cast<std::size_t>(begin - origin);
    const auto* const indices = reinterpret_cast<const Index*>(input.indices) + begin;
    std::uint32_t* const columns = stored + at;
    for (std::size_t i = 0; i < n; ++i) {
      const auto local = static_cast<std::uint64_t>(indices[i]);
      if (local >= n_features_) [[unlikely]]
        fail<InvalidArgument>("row {}: entry {} has feature {}, outside [0, {})", row, i, indices[i], n_features_);
      columns[i] = stored_of_local_.empty() ? static_cast<std::uint32_t>(local) : stored_of_local_[local];
    }
    if (layers.size() == 1) {
      const LayerInput& layer = layers[0];
      std::byte* const values = copy_values(layer, begin, at, n);
      sorter_.sort({columns, n}, values, layer.value_bytes);
      return;
    }
    // Several layers share one order: sort positions, then place each layer's values.
    positions_.resize(n);
    std::iota(positions_.begin(), positions_.end(), 0U);
    sorter_.sort({columns, n}, reinterpret_cast<std::byte*>(positions_.data()), sizeof(std::uint32_t));
    for (const LayerInput& layer : layers) {
      const std::byte* const from = layer.values + static_cast<std::size_t>(begin) * layer.value_bytes;
      std::byte* const to = layer.reordered + at * layer.value_bytes;
      for (std::size_t i = 0; i < n; ++i)
        std::memcpy(to + i * layer.value_bytes, from + positions_[i] * layer.value_bytes, layer.value_bytes);
    }
  }

 private:
  static std::byte* copy_values(const LayerInput& layer, std::int64_t begin, std::size_t at, std::size_t n) {
    std::byte* const to = layer.reordered + at * layer.value_bytes;
    std::copy_n(layer.values + static_cast<std::size_t>(begin) * layer.value_bytes, n * layer.value_bytes, to);
    return to;
  }

  std::uint64_t n_features_;
  std::span<const std::uint32_t> stored_of_local_;
  RowSorter sorter_;
  std::vector<std::uint32_t> positions_;
};

}  // namespace

std::vector<std::uint32_t> feature_order(std::span<const double> totals) {
  std::vector<std::uint32_t> order(totals.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [totals](std::uint32_t a, std::uint32_t b) { return totals[a] > totals[b]; });
  return order;
}

std::vector<std::uint32_t> invert_order(std::span<const std::uint32_t> order) {
  std::vector<std::uint32_t> inverse(order.size());
  for (std::uint32_t stored = 0; stored < order.size(); ++stored) inverse[order[stored]] = stored;
  return inverse;
}

void reorder_rows(const CsrInput& input, std::span<const LayerInput> layers, std::int64_t n_features,
                  std::span<const std::uint32_t> stored_of_local, std::size_t first_row, std::size_t last_row,
                  std::uint32_t* stored) {
  if (n_features < 0 || n_features > std::numeric_limits<std::uint32_t>::max())
    fail<InvalidArgument>("n_features: 0 to 2^32 - 1 expected, found {}", n_features);
  if (!stored_of_local.empty() && stored_of_local.size() != static_cast<std::size_t>(n_features))
    fail<InvalidArgument>("a feature order of {} features expected, found {}", n_features, stored_of_local.size());
  if (first_row > last_row || last_row >= input.indptr.size())
    fail<InvalidArgument>("rows [{}, {}) of a matrix whose indptr has {} entries", first_row, last_row,
                          input.indptr.size());
  for (std::size_t row = first_row; row < last_row; ++row)
    if (input.indptr[row] < 0 || input.indptr[row] > input.indptr[row + 1])
      fail<InvalidArgument>("indptr decreases at row {}: {}, then {}", row, input.indptr[row], input.indptr[row + 1]);
  const std::int64_t origin = input.indptr[first_row];
  const std::size_t n_tasks = (last_row - first_row + kTaskRows - 1) / kTaskRows;
  parallel_for(Runtime::cpu(), n_tasks, [&](std::size_t task) {
    RowReorderer reorderer(n_features, stored_of_local);
    const std::size_t end = std::min(last_row, first_row + (task + 1) * kTaskRows);
    for (std::size_t row = first_row + task * kTaskRows; row < end; ++row) {
      switch (input.index_dtype) {
        case DataType::kInt32:
          reorderer.reorder<std::int32_t>(input, layers, row, origin, stored);
          break;
        case DataType::kUint32:
          reorderer.reorder<std::uint32_t>(input, layers, row, origin, stored);
          break;
        case DataType::kInt64:
          reorderer.reorder<std::int64_t>(input, layers, row, origin, stored);
          break;
        case DataType::kUint64:
          reorderer.reorder<std::uint64_t>(input, layers, row, origin, stored);
          break;
        default:
          fail<InvalidArgument>("indices of 32- or 64-bit integers expected, {} found", name(input.index_dtype));
      }
    }
  });
}

}  // namespace hox::ragged
