// Packing of fields with BMI2's bit extract, for the x86 targets. Plain twin: BitWriter in block_plain.cc.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hox::codec {
namespace bmi2 {

// Eight bytes become eight fields of `width` <= 8 bits.
inline std::uint64_t squeeze_bytes(std::uint64_t bytes, std::uint32_t width) noexcept {
  return _pext_u64(bytes, 0x0101010101010101U * ((std::uint64_t{1} << width) - 1));
}
// Four 16-bit words become four fields of `width` <= 16 bits.
inline std::uint64_t squeeze_words(std::uint64_t words, std::uint32_t width) noexcept {
  return _pext_u64(words, 0x0001000100010001U * ((std::uint64_t{1} << width) - 1));
}

// Writes `n` fields (a multiple of 8) of `width` <= 31 bits, whose higher bits are ignored. Overruns by up to 8 bytes.
inline void pack(const std::uint32_t* fields, std::uint32_t n, std::uint32_t width, std::byte* out) noexcept {
  if (width == 0) return;
  for (std::uint32_t i = 0; i < n; i += 8, out += width) {
    if (width <= 8) {
      std::uint64_t bytes = 0;
      for (std::uint32_t k = 0; k < 8; ++k) bytes |= std::uint64_t{fields[i + k] & 0xff} << (8 * k);
      const std::uint64_t packed = squeeze_bytes(bytes, width);
      std::memcpy(out, &packed, sizeof packed);
    } else if (width <= 16) {
      std::uint64_t low = 0;
      std::uint64_t high = 0;
      for (std::uint32_t k = 0; k < 4; ++k) {
        low |= std::uint64_t{fields[i + k] & 0xffff} << (16 * k);
        high |= std::uint64_t{fields[i + 4 + k] & 0xffff} << (16 * k);
      }
      low = squeeze_words(low, width);
      high = squeeze_words(high, width);
      // The second half starts at bit 4 * width: on a byte or in the middle of one.
      std::memcpy(out, &low, sizeof low);
      const std::uint32_t begin = 4 * width / 8;
      if (width % 2 == 0) {
        std::memcpy(out + begin, &high, sizeof high);
      } else {
        const std::uint64_t shifted = high << 4 | (static_cast<std::uint64_t>(out[begin]) & 15);
        std::memcpy(out + begin, &shifted, sizeof shifted);
      }
    } else {
      std::uint64_t pending = 0;
      std::uint32_t n_bits = 0;
      std::byte* at = out;
      const std::uint32_t mask = (1U << width) - 1;
      for (std::uint32_t k = 0; k < 8; ++k) {
        pending |= std::uint64_t{fields[i + k] & mask} << n_bits;
        n_bits += width;
        std::memcpy(at, &pending, sizeof pending);
        at += n_bits / 8;
        pending >>= n_bits / 8 * 8;
        n_bits %= 8;
      }
    }
  }
}

}  // namespace bmi2
}  // namespace hox::codec
