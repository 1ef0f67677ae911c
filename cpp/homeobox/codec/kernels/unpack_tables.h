// Byte shuffles that bring the packed fields of one width into a word each, for the SIMD targets.
//
// Field i of a run starts at bit i * width. Its word receives the four bytes from that bit's byte on, and is then
// shifted right by the bit's position in the byte. That covers widths up to 25; wider fields span five bytes.
#pragma once

#include <array>
#include <cstdint>

namespace hox::codec {

inline constexpr std::uint32_t kWidestFourByteField = 25;

template <std::uint32_t kFields>
struct UnpackTable {
  alignas(64) std::array<std::array<std::uint8_t, 4 * kFields>, kWidestFourByteField + 1> bytes;
  alignas(64) std::array<std::array<std::uint32_t, kFields>, kWidestFourByteField + 1> shifts;
};

// `first_bit_of(i, width)` is where field i starts in the register that is shuffled.
template <std::uint32_t kFields, class FirstBit>
constexpr UnpackTable<kFields> make_unpack_table(FirstBit first_bit_of) {
  UnpackTable<kFields> table{};
  for (std::uint32_t width = 0; width <= kWidestFourByteField; ++width) {
    for (std::uint32_t i = 0; i < kFields; ++i) {
      const std::uint32_t bit = first_bit_of(i, width);
      table.shifts[width][i] = bit % 8;
      for (std::uint32_t byte = 0; byte < 4; ++byte)
        table.bytes[width][4 * i + byte] = static_cast<std::uint8_t>(bit / 8 + byte);
    }
  }
  return table;
}

// Eight fields in two loads of 16 bytes, for shuffles that stay inside 128 bits: the second load starts at the byte of
// bit 4 * width.
constexpr std::uint32_t first_bit_in_half(std::uint32_t i, std::uint32_t width) {
  return i < 4 ? i * width : i * width - 4 * width / 8 * 8;
}

}  // namespace hox::codec
