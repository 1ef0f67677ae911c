#include "homeobox/ragged/csr_summary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/convert.h"

namespace hox::ragged {
namespace {

constexpr std::size_t kSlices = 8;
// Below so many entries per feature it costs more to add the slices' totals than to go through the entries.
constexpr std::size_t kMinEntriesPerFeature = 2 * kSlices;
constexpr std::size_t kTileElements = 1024;

// Adds values to totals by feature; false when an index is no feature, which is then at *bad.
template <class Index>
bool add_tile(const Index* indices, const double* values, std::size_t n, std::vector<double>& totals,
              std::size_t* bad) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto feature = static_cast<std::uint64_t>(indices[i]);
    if (feature >= totals.size()) [[unlikely]] {
      *bad = i;
      return false;
    }
    totals[feature] += values[i];
  }
  return true;
}

}  // namespace

// A run of consecutive entries of a block.
struct CsrSummary::Slice {
  const EntryArray& indices;
  const EntryArray& values;
  std::uint64_t begin;
  std::uint64_t end;

  // `entries_before` is how many came before element `first` of the arrays.
  Flags add_to(std::vector<double>& totals, std::uint64_t entries_before, std::uint64_t first) const {
    switch (indices.dtype()) {
      case DataType::kInt32:
        return add<std::int32_t>(totals, entries_before, first);
      case DataType::kUint32:
        return add<std::uint32_t>(totals, entries_before, first);
      case DataType::kInt64:
        return add<std::int64_t>(totals, entries_before, first);
      case DataType::kUint64:
        return add<std::uint64_t>(totals, entries_before, first);
      default:
        fail<InvalidArgument>("indices of 32- or 64-bit integers expected, {} found", name(indices.dtype()));
    }
  }

  template <class Index>
  Flags add(std::vector<double>& totals, std::uint64_t entries_before, std::uint64_t first) const {
    Flags flags;
    RawBuffer index_scratch;
    RawBuffer value_scratch;
    for (std::uint64_t at = begin; at < end; at += EntryArray::kPieceElements) {
      const std::uint64_t stop = std::min<std::uint64_t>(end, at + EntryArray::kPieceElements);
      const std::byte* const piece = indices.read(at, stop, index_scratch);
      add_piece<Index>({reinterpret_cast<const Index*>(piece), stop - at}, values.read(at, stop, value_scratch), totals,
                       entries_before + (at - first), flags);
    }
    return flags;
  }

  template <class Index>
  void add_piece(std::span<const Index> features, const std::byte* piece, std::vector<double>& totals,
                 std::uint64_t entries_before, Flags& flags) const {
    const bool is_float = info(values.dtype()).kind == 'f';
    std::array<double, kTileElements> tile;
    for (std::size_t at = 0; at < features.size(); at += kTileElements) {
      const std::size_t n = std::min(kTileElements, features.size() - at);
      convert(values.dtype(), piece + at * values.element_bytes(), DataType::kFloat64,
              reinterpret_cast<std::byte*>(tile.data()), n);
      note_values({tile.data(), n}, is_float, flags);
      std::size_t bad = 0;
      if (!add_tile(features.data() + at, tile.data(), n, totals, &bad)) [[unlikely]]
        fail<InvalidArgument>("entry {} has feature {}, outside [0, {})", entries_before + at + bad, features[at + bad],
                              totals.size());
    }
  }

  // Bits that only values worth a look have, whole vectors at a time; who sets one is looked at again.
  static void note_values(std::span<const double> values, bool is_float, Flags& flags) {
    constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
    constexpr std::uint64_t kExponent = std::uint64_t{0x7ff} << 52;
    // A double of this size and more is a whole number; adding it rounds every smaller one to one.
    constexpr double kWhole = 4503599627370496.0;
    std::uint64_t signs = 0;
    std::uint64_t odd = 0;
    for (const double value : values) {
      const auto bits = std::bit_cast<std::uint64_t>(value);
      const double size = std::bit_cast<double>(bits & ~kSign);
      signs |= bits;
      odd |= std::bit_cast<std::uint64_t>(size + kWhole - kWhole) ^ (bits & ~kSign);
      odd |= ((bits & kExponent) + (kExponent & ~(kExponent << 1))) & kSign;  // runs over where all of it is set
    }
    if ((signs & kSign) != 0)
      flags.negative |= std::any_of(values.begin(), values.end(), [](double value) { return value < 0; });
    if (odd == 0 || !is_float) return;
    for (const double value : values) {
      flags.nonfinite |= !std::isfinite(value);
      flags.fraction |= std::isfinite(value) && std::trunc(value) != value;
    }
  }
};

CsrSummary::CsrSummary(std::int64_t n_features) {
  if (n_features < 0 || n_features > std::numeric_limits<std::uint32_t>::max())
    fail<InvalidArgument>("n_features: 0 to 2^32 - 1 expected, found {}", n_features);
  totals_.resize(static_cast<std::size_t>(n_features));
}

void CsrSummary::add(const EntryArray& indices, const EntryArray& values, std::uint64_t begin, std::uint64_t end) {
  check_conversion(values.dtype(), DataType::kFloat64);
  const std::uint64_t n = end - begin;
  const std::size_t n_slices = n / kMinEntriesPerFeature >= totals_.size() ? kSlices : 1;
  slice_totals_.resize(std::max(slice_totals_.size(), n_slices));
  std::array<Flags, kSlices> flags;
  parallel_for(Runtime::cpu(), n_slices, [&](std::size_t i) {
    slice_totals_[i].assign(totals_.size(), 0.0);
    const Slice slice{indices, values, begin + n * i / n_slices, begin + n * (i + 1) / n_slices};
    flags[i] = slice.add_to(slice_totals_[i], n_entries_, begin);
  });
  for (std::size_t i = 0; i < n_slices; ++i) {
    for (std::size_t feature = 0; feature < totals_.size(); ++feature) totals_[feature] += slice_totals_[i][feature];
    flags_.negative |= flags[i].negative;
    flags_.fraction |= flags[i].fraction;
    flags_.nonfinite |= flags[i].nonfinite;
  }
  n_entries_ += n;
}

}  // namespace hox::ragged
