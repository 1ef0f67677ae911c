// Integer arithmetic on numbers that came from a file or a caller.
//
// Sizes read from disk are added, multiplied and narrowed only through these functions. They answer nullopt when
// the mathematical result does not fit, so the caller can say which number was wrong.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>

namespace hox {

template <std::integral T>
constexpr std::optional<T> checked_add(T a, T b) noexcept {
  T result{};
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
constexpr std::optional<T> checked_multiply(T a, T b) noexcept {
  T result{};
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral To, std::integral From>
constexpr std::optional<To> checked_cast(From value) noexcept {
  if (!std::in_range<To>(value)) return std::nullopt;
  return static_cast<To>(value);
}

// Ceiling of a / b for b > 0; cannot overflow.
template <std::unsigned_integral T>
constexpr T ceil_divide(T a, T b) noexcept {
  return a / b + (a % b != 0 ? 1 : 0);
}

}  // namespace hox
