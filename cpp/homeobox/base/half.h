// Whole numbers in IEEE 754 half precision. g++ 12 has no portable half type in C++, and only whole numbers are needed.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

namespace hox {

inline constexpr std::uint32_t kHalfMantissaBits = 10;
inline constexpr std::uint32_t kHalfExponentBias = 15;

// The exact value of a half that is a whole number; nullopt for fractions, -0.0, NaN and infinities.
constexpr std::optional<std::int32_t> whole_from_half(std::uint16_t bits) noexcept {
  const std::uint32_t exponent = (bits >> kHalfMantissaBits) & 31;
  const std::uint32_t fraction = bits & 1023U;
  const bool negative = (bits >> 15) != 0;
  if (exponent == 0) return fraction == 0 && !negative ? std::optional<std::int32_t>(0) : std::nullopt;
  if (exponent == 31 || exponent < kHalfExponentBias) return std::nullopt;
  const std::uint32_t power = exponent - kHalfExponentBias;  // value = 1.fraction * 2^power
  const std::uint32_t mantissa = 1024U | fraction;
  std::uint32_t magnitude = 0;
  if (power >= kHalfMantissaBits) {
    magnitude = mantissa << (power - kHalfMantissaBits);
  } else {
    const std::uint32_t dropped = kHalfMantissaBits - power;
    if ((mantissa & ((1U << dropped) - 1)) != 0) return std::nullopt;
    magnitude = mantissa >> dropped;
  }
  return negative ? -static_cast<std::int32_t>(magnitude) : static_cast<std::int32_t>(magnitude);
}

// Inverse of whole_from_half; values that no half holds exactly lose their low bits.
constexpr std::uint16_t half_from_whole(std::int64_t value) noexcept {
  const std::uint32_t sign = value < 0 ? 0x8000U : 0U;
  // Unsigned, since a damaged file may ask for any value.
  const auto bits = static_cast<std::uint64_t>(value);
  const auto magnitude = static_cast<std::uint32_t>(value < 0 ? 0 - bits : bits);
  if (magnitude == 0) return 0;
  const auto power = static_cast<std::uint32_t>(std::bit_width(magnitude)) - 1;
  const std::uint32_t mantissa =
      power >= kHalfMantissaBits ? magnitude >> (power - kHalfMantissaBits) : magnitude << (kHalfMantissaBits - power);
  const std::uint32_t exponent = (power + kHalfExponentBias) & 31;
  return static_cast<std::uint16_t>(sign | (exponent << kHalfMantissaBits) | (mantissa & 1023U));
}

}  // namespace hox
