#include "homeobox/codec/bp128_keys.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "homeobox/base/half.h"

namespace hox::codec::bp128 {
namespace {

constexpr std::uint64_t kKeySpan = std::uint64_t{1} << 32;

// Each reader turns one element into a whole number, and says by bits that are not zero that it has none. No branches
// and no type wider than the element, so that the loops below go by whole vectors.
template <class T>
struct IntegerReader {
  using Element = T;
  using Wide = std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>;
  using Whole = std::conditional_t<sizeof(T) <= sizeof(Wide), Wide, T>;
  using Bits = std::uint32_t;
  static Whole read(T value, Bits&) noexcept { return value; }
};

struct BoolReader {
  using Element = std::uint8_t;
  using Whole = std::uint32_t;
  using Bits = std::uint32_t;
  static std::uint32_t read(std::uint8_t value, Bits& odd) noexcept {
    odd |= value & 0xfeU;
    return value;
  }
};

// Comparing bits, not values, tells -0.0 from 0.0 and rejects NaN.
struct Float32Reader {
  using Element = float;
  using Whole = std::int32_t;
  using Bits = std::uint32_t;
  static std::int32_t read(float value, Bits& odd) noexcept {
    constexpr std::int32_t kMagnitude = 0x7fffffff;
    constexpr std::int32_t kTwoTo31 = 0x4f000000;
    const auto bits = std::bit_cast<std::int32_t>(value);
    // Beyond 2^31 it becomes 0, whose bits are others.
    const std::int32_t in_range = (bits & kMagnitude) < kTwoTo31 ? -1 : 0;
    const auto whole = static_cast<std::int32_t>(std::bit_cast<float>(bits & in_range));
    odd |= std::bit_cast<Bits>(static_cast<float>(whole)) ^ static_cast<Bits>(bits);
    return whole;
  }
};

struct Float64Reader {
  using Element = double;
  using Whole = std::int64_t;
  using Bits = std::uint64_t;
  static std::int64_t read(double value, Bits& odd) noexcept {
    const bool in_range = value > -9223372036854775808.0 && value < 9223372036854775808.0;
    const auto whole = static_cast<std::int64_t>(in_range ? value : 0.0);
    odd |= std::bit_cast<Bits>(static_cast<double>(whole)) ^ std::bit_cast<Bits>(value);
    return whole;
  }
};

struct Float16Reader {
  using Element = std::uint16_t;
  using Whole = std::int32_t;
  using Bits = std::uint32_t;
  static std::int32_t read(std::uint16_t bits, Bits& odd) noexcept {
    const std::optional<std::int32_t> exact = whole_from_half(bits);
    odd |= exact ? 0U : 1U;
    return exact.value_or(0);
  }
};

template <class Reader>
std::optional<Keys> read_keys(std::span<const std::byte> values, std::vector<std::uint32_t>& keys) {
  using Element = typename Reader::Element;
  using Whole = typename Reader::Whole;
  const std::size_t n = values.size() / sizeof(Element);
  const auto element = [&](std::size_t i) {
    Element value;
    std::memcpy(&value, values.data() + i * sizeof(Element), sizeof value);
    return value;
  };
  Whole smallest = std::numeric_limits<Whole>::max();
  Whole largest = std::numeric_limits<Whole>::min();
  typename Reader::Bits odd = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const Whole whole = Reader::read(element(i), odd);
    smallest = std::min(smallest, whole);
    largest = std::max(largest, whole);
  }
  if (odd != 0 || n == 0) return std::nullopt;
  using Wide = std::conditional_t<std::is_signed_v<Whole>, std::int64_t, std::uint64_t>;
  const auto reference = static_cast<std::uint64_t>(Wide{smallest});
  const std::uint64_t span = static_cast<std::uint64_t>(Wide{largest}) - reference;
  if (span >= kKeySpan) return std::nullopt;
  keys.resize(n);
  const auto low_reference = static_cast<std::uint32_t>(reference);
  for (std::size_t i = 0; i < n; ++i)
    keys[i] = static_cast<std::uint32_t>(Reader::read(element(i), odd)) - low_reference;  // below 2^32, so modulo it
  return Keys{reference, static_cast<std::uint32_t>(span)};
}

template <class T>
void write_integers(const std::uint32_t* keys, std::uint64_t reference, std::uint32_t n, std::byte* out) noexcept {
  T* const values = reinterpret_cast<T*>(out);
  // In the width of the element, so that the loop fills whole vectors.
  const T narrow_reference = static_cast<T>(reference);
  for (std::uint32_t i = 0; i < n; ++i) values[i] = static_cast<T>(narrow_reference + static_cast<T>(keys[i]));
}

}  // namespace

std::optional<Keys> make_keys(DataType dtype, std::span<const std::byte> values, std::vector<std::uint32_t>& keys) {
  switch (dtype) {
    case DataType::kBool:
      return read_keys<BoolReader>(values, keys);
    case DataType::kInt8:
      return read_keys<IntegerReader<std::int8_t>>(values, keys);
    case DataType::kInt16:
      return read_keys<IntegerReader<std::int16_t>>(values, keys);
    case DataType::kInt32:
      return read_keys<IntegerReader<std::int32_t>>(values, keys);
    case DataType::kInt64:
      return read_keys<IntegerReader<std::int64_t>>(values, keys);
    case DataType::kUint8:
      return read_keys<IntegerReader<std::uint8_t>>(values, keys);
    case DataType::kUint16:
      return read_keys<IntegerReader<std::uint16_t>>(values, keys);
    case DataType::kUint32:
      return read_keys<IntegerReader<std::uint32_t>>(values, keys);
    case DataType::kUint64:
      return read_keys<IntegerReader<std::uint64_t>>(values, keys);
    case DataType::kFloat16:
      return read_keys<Float16Reader>(values, keys);
    case DataType::kFloat32:
      return read_keys<Float32Reader>(values, keys);
    case DataType::kFloat64:
      return read_keys<Float64Reader>(values, keys);
  }
  return std::nullopt;
}

void write_values(DataType dtype, const std::uint32_t* keys, std::uint64_t reference, std::uint32_t n,
                  std::byte* out) noexcept {
  switch (dtype) {
    case DataType::kBool:
    case DataType::kInt8:
    case DataType::kUint8:
      return write_integers<std::uint8_t>(keys, reference, n, out);
    case DataType::kInt16:
    case DataType::kUint16:
      return write_integers<std::uint16_t>(keys, reference, n, out);
    case DataType::kInt32:
    case DataType::kUint32:
      return write_integers<std::uint32_t>(keys, reference, n, out);
    case DataType::kInt64:
    case DataType::kUint64:
      return write_integers<std::uint64_t>(keys, reference, n, out);
    case DataType::kFloat16: {
      auto* const values = reinterpret_cast<std::uint16_t*>(out);
      for (std::uint32_t i = 0; i < n; ++i) values[i] = half_from_whole(static_cast<std::int64_t>(reference + keys[i]));
      return;
    }
    case DataType::kFloat32:
      for (std::uint32_t i = 0; i < n; ++i) {
        const auto whole = static_cast<std::int32_t>(static_cast<std::uint32_t>(reference) + keys[i]);
        reinterpret_cast<float*>(out)[i] = static_cast<float>(whole);
      }
      return;
    case DataType::kFloat64: {
      auto* const values = reinterpret_cast<double*>(out);
      for (std::uint32_t i = 0; i < n; ++i)
        values[i] = static_cast<double>(static_cast<std::int64_t>(reference + keys[i]));
      return;
    }
  }
}

}  // namespace hox::codec::bp128
