// Byte shuffles that bring 16 packed fields of one width into 16 words, for the x86 targets.
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

}  // namespace hox::codec
