#include "homeobox/zarr/fill_value.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "homeobox/base/error.h"

namespace hox::zarr {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
std::vector<std::byte> to_bytes(T value) {
  std::vector<std::byte> bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

template <class T>
T from_bytes(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

[[noreturn]] void refuse(const Json& json, DataType dtype) {
  fail<InvalidArgument>("fill_value: a value of {} expected, found {}", name(dtype), json.dump());
}

// Half precision, rounding to nearest even as NumPy does.
std::uint16_t half_from_double(double value) {
  const unsigned sign = std::signbit(value) ? 0x8000U : 0U;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520) return static_cast<std::uint16_t>(sign | 0x7c00U);
  if (magnitude < std::ldexp(1.0, -14))
    return static_cast<std::uint16_t>(sign | static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, 24))));
  const int exponent = std::ilogb(magnitude);
  const auto mantissa = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // A mantissa that rounds up to 2048 carries into the exponent by itself.
  return static_cast<std::uint16_t>(sign | ((static_cast<unsigned>(exponent + 15) << 10) + (mantissa - 1024)));
}

double double_from_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// The bits of a float type and what its special values look like.
template <class Bits>
struct FloatLayout {
  static constexpr unsigned kExponentBits = sizeof(Bits) == 2 ? 5 : sizeof(Bits) == 4 ? 8 : 11;
  static constexpr unsigned kMantissaBits = 8 * sizeof(Bits) - 1 - kExponentBits;
  static constexpr auto kInfinity = static_cast<Bits>(((Bits{1} << kExponentBits) - 1) << kMantissaBits);
  static constexpr auto kNaN = static_cast<Bits>(kInfinity | (Bits{1} << (kMantissaBits - 1)));
  static constexpr auto kSign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));

  static Bits from_double(double value) {
    if constexpr (sizeof(Bits) == 2)
      return half_from_double(value);
    else if constexpr (sizeof(Bits) == 4)
      return std::bit_cast<Bits>(static_cast<float>(value));
    else
      return std::bit_cast<Bits>(value);
  }
  static double to_double(Bits bits) {
    if constexpr (sizeof(Bits) == 2)
      return double_from_half(bits);
    else if constexpr (sizeof(Bits) == 4)
      return static_cast<double>(std::bit_cast<float>(bits));
    else
      return std::bit_cast<double>(bits);
  }
};

template <class Bits>
std::vector<std::byte> parse_float(const Json& json, DataType dtype) {
  using Layout = FloatLayout<Bits>;
  if (json.is_number()) return to_bytes(Layout::from_double(json.get<double>()));
  if (!json.is_string()) refuse(json, dtype);
  const std::string text = json.get<std::string>();
  if (text == "NaN") return to_bytes(Layout::kNaN);
  if (text == "Infinity") return to_bytes(Layout::kInfinity);
  if (text == "-Infinity") return to_bytes(static_cast<Bits>(Layout::kInfinity | Layout::kSign));
  Bits bits = 0;
  if (!text.starts_with("0x") || text.size() != 2 + 2 * sizeof(Bits)) refuse(json, dtype);
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), bits, 16);
  if (error != std::errc() || end != text.data() + text.size()) refuse(json, dtype);
  return to_bytes(bits);
}

template <class Bits>
Json float_to_json(std::span<const std::byte> element) {
  using Layout = FloatLayout<Bits>;
  const Bits bits = from_bytes<Bits>(element);
  const auto magnitude = static_cast<Bits>(bits & ~Layout::kSign);
  if (magnitude < Layout::kInfinity) return Layout::to_double(bits);
  if (bits == Layout::kNaN) return "NaN";
  if (magnitude == Layout::kInfinity) return bits == magnitude ? "Infinity" : "-Infinity";
  return fmt::format("0x{:0{}x}", bits, 2 * sizeof(Bits));
}

template <std::integral T>
std::vector<std::byte> parse_integer(const Json& json, DataType dtype) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (std::in_range<T>(value)) return to_bytes(static_cast<T>(value));
  } else if (json.is_number_integer()) {
    const auto value = json.get<std::int64_t>();
    if (std::in_range<T>(value)) return to_bytes(static_cast<T>(value));
  } else if (json.is_number_float()) {
    // Some writers say 0.0 for integers. 2^53 bounds what a double says exactly.
    const auto value = json.get<double>();
    if (std::fabs(value) <= 9007199254740992.0 && std::trunc(value) == value) {
      const auto whole = static_cast<std::int64_t>(value);
      if (std::in_range<T>(whole)) return to_bytes(static_cast<T>(whole));
    }
  }
  refuse(json, dtype);
}

}  // namespace

std::vector<std::byte> parse_fill_value(const Json& json, DataType dtype) {
  switch (dtype) {
    case DataType::kBool:
      if (!json.is_boolean()) refuse(json, dtype);
      return to_bytes(static_cast<std::uint8_t>(json.get<bool>() ? 1 : 0));
    case DataType::kInt8:
      return parse_integer<std::int8_t>(json, dtype);
    case DataType::kInt16:
      return parse_integer<std::int16_t>(json, dtype);
    case DataType::kInt32:
      return parse_integer<std::int32_t>(json, dtype);
    case DataType::kInt64:
      return parse_integer<std::int64_t>(json, dtype);
    case DataType::kUint8:
      return parse_integer<std::uint8_t>(json, dtype);
    case DataType::kUint16:
      return parse_integer<std::uint16_t>(json, dtype);
    case DataType::kUint32:
      return parse_integer<std::uint32_t>(json, dtype);
    case DataType::kUint64:
      return parse_integer<std::uint64_t>(json, dtype);
    case DataType::kFloat16:
      return parse_float<std::uint16_t>(json, dtype);
    case DataType::kFloat32:
      return parse_float<std::uint32_t>(json, dtype);
    case DataType::kFloat64:
      return parse_float<std::uint64_t>(json, dtype);
  }
  refuse(json, dtype);
}

Json fill_value_to_json(std::span<const std::byte> element, DataType dtype) {
  switch (dtype) {
    case DataType::kBool:
      return from_bytes<std::uint8_t>(element) != 0;
    case DataType::kInt8:
      return from_bytes<std::int8_t>(element);
    case DataType::kInt16:
      return from_bytes<std::int16_t>(element);
    case DataType::kInt32:
      return from_bytes<std::int32_t>(element);
    case DataType::kInt64:
      return from_bytes<std::int64_t>(element);
    case DataType::kUint8:
      return from_bytes<std::uint8_t>(element);
    case DataType::kUint16:
      return from_bytes<std::uint16_t>(element);
    case DataType::kUint32:
      return from_bytes<std::uint32_t>(element);
    case DataType::kUint64:
      return from_bytes<std::uint64_t>(element);
    case DataType::kFloat16:
      return float_to_json<std::uint16_t>(element);
    case DataType::kFloat32:
      return float_to_json<std::uint32_t>(element);
    case DataType::kFloat64:
      return float_to_json<std::uint64_t>(element);
  }
  return nullptr;
}

}  // namespace hox::zarr
