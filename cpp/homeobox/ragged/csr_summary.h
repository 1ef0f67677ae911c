// CsrSummary: what a writer wants to know of all entries of a matrix before it writes the first: the total of each
// feature, and whether the values can be counts. One pass, block by block, on all threads.
//
// Totals do not depend on the number of threads: each block is cut into the same slices, which are added in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "homeobox/ragged/entry_array.h"

namespace hox::ragged {

class CsrSummary {
 public:
  // Throws InvalidArgument unless n_features is in [0, 2^32).
  explicit CsrSummary(std::int64_t n_features);

  // The next entries: [begin, end) of both arrays. Indices are integers of 32 or 64 bits, values of any type but
  // float16. Throws InvalidArgument, and then is of no further use, for an index outside [0, n_features), and what
  // FileArray::read() throws.
  void add(const EntryArray& indices, const EntryArray& values, std::uint64_t begin, std::uint64_t end);

  std::uint64_t n_entries() const noexcept { return n_entries_; }
  std::span<const double> totals() const noexcept { return totals_; }
  bool has_negative() const noexcept { return flags_.negative; }
  // A value that is finite and no whole number.
  bool has_fraction() const noexcept { return flags_.fraction; }
  // NaN or infinity.
  bool has_nonfinite() const noexcept { return flags_.nonfinite; }

 private:
  struct Flags {
    bool negative = false;
    bool fraction = false;
    bool nonfinite = false;
  };
  struct Slice;

  std::uint64_t n_entries_ = 0;
  std::vector<double> totals_;
  std::vector<std::vector<double>> slice_totals_;  // kept, since a block comes after another
  Flags flags_;
};

}  // namespace hox::ragged
