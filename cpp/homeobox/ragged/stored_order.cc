#include "homeobox/ragged/stored_order.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/row_sorter.h"

namespace hox::ragged {
namespace {

constexpr std::size_t kTaskRows = 256;

// Sorts rows of one worker: features are renumbered, and values go where their features do.
class RowReorderer {
 public:
  RowReorderer(const CsrInput& input, std::span<const LayerInput> layers, std::int64_t n_features,
               std::span<const std::uint32_t> stored_of_local, std::int64_t origin, std::uint32_t* stored)
      : input_(input),
        layers_(layers),
        n_features_(static_cast<std::uint64_t>(n_features)),
        stored_of_local_(stored_of_local),
        origin_(origin),
        stored_(stored),
        sorter_(n_features),
        values_(layers.size()),
        value_scratch_(layers.size()) {}

  // Rows [first, last), read in pieces.
  void reorder(std::size_t first, std::size_t last) {
    const std::span<const std::int64_t> indptr = input_.indptr;
    while (first < last) {
      std::size_t end = first + 1;
      while (end < last && indptr[end + 1] - indptr[first] <= static_cast<std::int64_t>(EntryArray::kPieceElements))
        ++end;
      reorder_piece(first, end);
      first = end;
    }
  }

 private:
  void reorder_piece(std::size_t first, std::size_t last) {
    const auto begin = static_cast<std::uint64_t>(input_.indptr[first]);
    const auto end = static_cast<std::uint64_t>(input_.indptr[last]);
    const std::byte* const indices = input_.indices.read(begin, end, index_scratch_);
    for (std::size_t i = 0; i < layers_.size(); ++i) values_[i] = layers_[i].values.read(begin, end, value_scratch_[i]);
    switch (input_.indices.dtype()) {
      case DataType::kInt32:
        return reorder_rows_of<std::int32_t>(indices, first, last);
      case DataType::kUint32:
        return reorder_rows_of<std::uint32_t>(indices, first, last);
      case DataType::kInt64:
        return reorder_rows_of<std::int64_t>(indices, first, last);
      case DataType::kUint64:
        return reorder_rows_of<std::uint64_t>(indices, first, last);
      default:
        fail<InvalidArgument>("indices of 32- or 64-bit integers expected, {} found", name(input_.indices.dtype()));
    }
  }

  // `indices` and values_ begin with row `first`.
  template <class Index>
  void reorder_rows_of(const std::byte* indices, std::size_t first, std::size_t last) {
    for (std::size_t row = first; row < last; ++row) {
      const auto in = static_cast<std::size_t>(input_.indptr[row] - input_.indptr[first]);
      const auto out = static_cast<std::size_t>(input_.indptr[row] - origin_);
      const auto n = static_cast<std::size_t>(input_.indptr[row + 1] - input_.indptr[row]);
      renumber<Index>({reinterpret_cast<const Index*>(indices) + in, n}, row);
      place_row(in, out, n);
    }
  }

  template <class Index>
  void renumber(std::span<const Index> indices, std::size_t row) {
    if (columns_.size() < indices.size()) columns_.resize(indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto local = static_cast<std::uint64_t>(indices[i]);
      if (local >= n_features_) [[unlikely]]
        fail<InvalidArgument>("row {}: entry {} has feature {}, outside [0, {})", row, i, indices[i], n_features_);
      columns_[i] = stored_of_local_.empty() ? static_cast<std::uint32_t>(local) : stored_of_local_[local];
    }
  }

  // columns_ and the values at `in` become the row at `out`.
  void place_row(std::size_t in, std::size_t out, std::size_t n) {
    const std::span<const std::uint32_t> columns(columns_.data(), n);
    const bool sorted = std::is_sorted(columns.begin(), columns.end());
    const auto places = sorted ? std::span<const std::uint32_t>() : sorter_.places_of(columns);
    if (sorted)
      std::copy(columns.begin(), columns.end(), stored_ + out);
    else
      for (std::size_t i = 0; i < n; ++i) stored_[out + places[i]] = columns[i];
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::size_t value_bytes = layers_[i].values.element_bytes();
      const std::byte* const from = values_[i] + in * value_bytes;
      std::byte* const to = layers_[i].reordered + out * value_bytes;
      if (sorted)
        std::copy_n(from, n * value_bytes, to);
      else
        place_values(places, from, value_bytes, to);
    }
  }

  const CsrInput& input_;
  std::span<const LayerInput> layers_;
  std::uint64_t n_features_;
  std::span<const std::uint32_t> stored_of_local_;
  std::int64_t origin_;
  std::uint32_t* stored_;
  RowSorter sorter_;
  std::vector<std::uint32_t> columns_;
  RawBuffer index_scratch_;
  std::vector<const std::byte*> values_;
  std::vector<RawBuffer> value_scratch_;
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
    RowReorderer reorderer(input, layers, n_features, stored_of_local, origin, stored);
    const std::size_t begin = first_row + task * kTaskRows;
    reorderer.reorder(begin, std::min(last_row, begin + kTaskRows));
  });
}

}  // namespace hox::ragged
