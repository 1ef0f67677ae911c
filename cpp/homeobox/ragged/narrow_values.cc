#include "homeobox/ragged/narrow_values.h"

#include <algorithm>
#include <bit>

namespace hox::ragged {
namespace {

template <class T>
std::optional<std::uint32_t> narrow_integers(const std::byte* bytes, std::size_t n, std::uint16_t* out) noexcept {
  const auto* const values = reinterpret_cast<const T*>(bytes);
  T bits = 0;
  for (std::size_t i = 0; i < n; ++i) {
    bits |= values[i];
    out[i] = static_cast<std::uint16_t>(values[i]);
  }
  if (bits > 0xffff) return std::nullopt;
  return static_cast<std::uint32_t>(bits);
}

// Adding 2^(mantissa bits) leaves a small whole number in the lowest bits of the sum: no conversion that could
// overflow, so the loop vectorises and is defined for every input.
template <class Float, class Bits>
std::optional<std::uint32_t> narrow_floats(const std::byte* bytes, std::size_t n, std::uint16_t* out) noexcept {
  constexpr Float kShift = sizeof(Float) == 4 ? Float(0x1p23) : Float(0x1p52);
  const auto* const values = reinterpret_cast<const Float*>(bytes);
  Bits bits = 0;
  Bits differs = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const Bits whole = std::bit_cast<Bits>(values[i] + kShift) - std::bit_cast<Bits>(kShift);
    const auto back = static_cast<Float>(static_cast<std::int32_t>(whole));
    differs |= std::bit_cast<Bits>(back) ^ std::bit_cast<Bits>(values[i]);
    bits |= whole;
    out[i] = static_cast<std::uint16_t>(whole);
  }
  if (differs != 0 || bits > 0xffff) return std::nullopt;
  return static_cast<std::uint32_t>(bits);
}

template <class From, class To>
void widen(const std::byte* in, const std::uint32_t* lengths, const std::uint64_t* targets, std::size_t n_pieces,
           std::byte* out) noexcept {
  const auto* from = reinterpret_cast<const From*>(in);
  for (std::size_t piece = 0; piece < n_pieces; ++piece) {
    To* const to = reinterpret_cast<To*>(out) + targets[piece];
    const std::uint32_t n = lengths[piece];
    for (std::uint32_t i = 0; i < n; ++i) to[i] = static_cast<To>(from[i]);
    from += n;
  }
}

template <class From>
void widen_narrow(DataType dtype, const std::byte* in, const std::uint32_t* lengths, const std::uint64_t* targets,
                  std::size_t n_pieces, std::byte* out) noexcept {
  switch (dtype) {
    case DataType::kFloat32:
      return widen<From, float>(in, lengths, targets, n_pieces, out);
    case DataType::kFloat64:
      return widen<From, double>(in, lengths, targets, n_pieces, out);
    default:
      break;
  }
  switch (element_bytes(dtype)) {
    case 2:
      return widen<From, std::uint16_t>(in, lengths, targets, n_pieces, out);
    case 4:
      return widen<From, std::uint32_t>(in, lengths, targets, n_pieces, out);
    default:
      return widen<From, std::uint64_t>(in, lengths, targets, n_pieces, out);
  }
}

}  // namespace

bool can_narrow(DataType dtype) noexcept { return element_bytes(dtype) > 1 && dtype != DataType::kFloat16; }

std::optional<std::uint32_t> narrow_values(DataType dtype, const std::byte* values, std::size_t n,
                                           std::uint16_t* out) noexcept {
  switch (dtype) {
    case DataType::kFloat32:
      return narrow_floats<float, std::uint32_t>(values, n, out);
    case DataType::kFloat64:
      return narrow_floats<double, std::uint64_t>(values, n, out);
    default:
      break;
  }
  // Negative numbers use high bits, except 16-bit ones, which then keep both bytes and their meaning.
  switch (element_bytes(dtype)) {
    case 2:
      return narrow_integers<std::uint16_t>(values, n, out);
    case 4:
      return narrow_integers<std::uint32_t>(values, n, out);
    default:
      return narrow_integers<std::uint64_t>(values, n, out);
  }
}

void widen_pieces(DataType dtype, std::size_t stored_bytes, const std::byte* in, const std::uint32_t* lengths,
                  const std::uint64_t* targets, std::size_t n_pieces, std::byte* out) noexcept {
  const std::size_t native_bytes = element_bytes(dtype);
  if (stored_bytes < native_bytes) {
    if (stored_bytes == 1) return widen_narrow<std::uint8_t>(dtype, in, lengths, targets, n_pieces, out);
    return widen_narrow<std::uint16_t>(dtype, in, lengths, targets, n_pieces, out);
  }
  for (std::size_t piece = 0; piece < n_pieces; ++piece) {
    const std::size_t n_bytes = lengths[piece] * native_bytes;
    std::copy_n(in, n_bytes, out + targets[piece] * native_bytes);
    in += n_bytes;
  }
}

}  // namespace hox::ragged
