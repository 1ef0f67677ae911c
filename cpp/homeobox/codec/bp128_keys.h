// Keys: the elements of a chunk as unsigned 32-bit offsets from a reference value.
//
// Whole numbers of any element type become keys and come back bit for bit. Elements that would not (fractions, -0.0,
// NaN, infinities, a spread of 2^32 or more, booleans other than 0 and 1) make the chunk unsuitable: it is then stored
// as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "homeobox/base/data_type.h"

namespace hox::codec::bp128 {

struct Keys {
  std::uint64_t reference;  // smallest value, as 64-bit two's complement
  std::uint32_t largest;    // key
};

// Fills `keys` (resized to the number of elements in `values`); nullopt when the elements have no keys.
std::optional<Keys> make_keys(DataType dtype, std::span<const std::byte> values, std::vector<std::uint32_t>& keys);

// Writes the `n` elements reference + keys[i]; `out` is aligned for the element type.
void write_values(DataType dtype, const std::uint32_t* keys, std::uint64_t reference, std::uint32_t n,
                  std::byte* out) noexcept;

// Whether keys and elements have the same size, so that a block may decode in its final place and be turned into
// elements there.
inline bool decodes_in_place(DataType dtype) noexcept {
  return dtype == DataType::kUint32 || dtype == DataType::kInt32;
}

}  // namespace hox::codec::bp128
