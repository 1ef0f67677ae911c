// Narrow values: counts as one or two bytes, whatever dtype they are stored in.
//
// Nearly every count is a whole number below 256, also in float32 layers. While a transposition holds entries, a byte
// each instead of the native width is what decides how much fits in memory. Only values that come back bit for bit are
// narrowed, so -0.0, fractions and NaN stay native.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "homeobox/base/data_type.h"

namespace hox::ragged {

// Whether values of this dtype can become narrower at all.
bool can_narrow(DataType dtype) noexcept;

// `n` values as 16-bit integers into `out`; gives the bits that any of them uses. nullopt: one of them is no whole
// number from 0 to 65535, and `out` means nothing. Only for can_narrow().
std::optional<std::uint32_t> narrow_values(DataType dtype, const std::byte* values, std::size_t n,
                                           std::uint16_t* out) noexcept;

// Values of `stored_bytes` each (1 or 2 if narrowed, or the native width), copied piece by piece to their places:
// piece i is `lengths[i]` values, one after another in `in`, and goes to element `targets[i]` of `out`.
void widen_pieces(DataType dtype, std::size_t stored_bytes, const std::byte* in, const std::uint32_t* lengths,
                  const std::uint64_t* targets, std::size_t n_pieces, std::byte* out) noexcept;

}  // namespace hox::ragged
