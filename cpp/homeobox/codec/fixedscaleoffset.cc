#include "homeobox/codec/fixedscaleoffset.h"

#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"

namespace hox::codec {
namespace {

constexpr std::string_view kName = "numcodecs.fixedscaleoffset";

// A JSON number. NumPy computes integers with an integer, and with a float as double.
struct Number {
  double as_double = 0;
  std::optional<std::int64_t> as_integer;
};

// long double holds every 64-bit integer, so one comparison serves all types.
template <class Target>
bool fits(long double value) {
  return value >= static_cast<long double>(std::numeric_limits<Target>::min()) &&
         value <= static_cast<long double>(std::numeric_limits<Target>::max());
}

template <class Target, class Failure>
Target convert(long double value) {
  if constexpr (std::floating_point<Target>) {
    return static_cast<Target>(value);
  } else {
    if (!fits<Target>(std::trunc(value)))  // false for NaN too
      fail<Failure>("{}: {} does not fit the target type", kName, static_cast<double>(value));
    return static_cast<Target>(value);
  }
}

template <class Decoded>
long double scaled(Decoded value, const Number& offset, const Number& scale) {
  if constexpr (std::floating_point<Decoded>) {
    const Decoded shifted = value - static_cast<Decoded>(offset.as_double);
    return std::nearbyint(shifted * static_cast<Decoded>(scale.as_double));
  } else {
    long double shifted = static_cast<double>(value) - offset.as_double;
    if (offset.as_integer) {
      shifted = static_cast<long double>(value) - static_cast<long double>(*offset.as_integer);
      if (scale.as_integer) return shifted * static_cast<long double>(*scale.as_integer);
    }
    return std::nearbyint(static_cast<double>(shifted) * scale.as_double);
  }
}

template <class Stored>
auto unscaled(Stored value, const Number& offset, const Number& scale) {
  using Real = std::conditional_t<std::same_as<Stored, float>, float, double>;
  return static_cast<Real>(value) / static_cast<Real>(scale.as_double) + static_cast<Real>(offset.as_double);
}

template <class Decoded, class Stored>
void encode_all(std::span<const std::byte> in, std::span<std::byte> out, const Number& offset, const Number& scale) {
  const std::size_t n = in.size() / sizeof(Decoded);
  for (std::size_t i = 0; i < n; ++i) {
    Decoded value;
    std::memcpy(&value, in.data() + i * sizeof(Decoded), sizeof(Decoded));
    const auto stored = convert<Stored, InvalidArgument>(scaled(value, offset, scale));
    std::memcpy(out.data() + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

template <class Decoded, class Stored>
void decode_all(std::span<const std::byte> in, std::span<std::byte> out, const Number& offset, const Number& scale) {
  const std::size_t n = in.size() / sizeof(Stored);
  for (std::size_t i = 0; i < n; ++i) {
    Stored stored;
    std::memcpy(&stored, in.data() + i * sizeof(Stored), sizeof(Stored));
    const auto value = convert<Decoded, CorruptData>(unscaled(stored, offset, scale));
    std::memcpy(out.data() + i * sizeof(Decoded), &value, sizeof(Decoded));
  }
}

// Calls `body` with a zero of the C++ type of `type`.
template <class Body>
void with_type(DataType type, const Body& body) {
  switch (type) {
    case DataType::kInt8:
      return body(std::int8_t{});
    case DataType::kInt16:
      return body(std::int16_t{});
    case DataType::kInt32:
      return body(std::int32_t{});
    case DataType::kInt64:
      return body(std::int64_t{});
    case DataType::kUint8:
      return body(std::uint8_t{});
    case DataType::kUint16:
      return body(std::uint16_t{});
    case DataType::kUint32:
      return body(std::uint32_t{});
    case DataType::kUint64:
      return body(std::uint64_t{});
    case DataType::kFloat32:
      return body(float{});
    case DataType::kFloat64:
      return body(double{});
    case DataType::kBool:
    case DataType::kFloat16:
      break;  // refused by the factory
  }
}

class FixedScaleOffsetCodec final : public ArrayToArrayCodec {
 public:
  FixedScaleOffsetCodec(Number offset, Number scale, DataType decoded, ChunkSpec encoded, nlohmann::json configuration)
      : offset_(offset),
        scale_(scale),
        decoded_(decoded),
        encoded_(std::move(encoded)),
        configuration_(std::move(configuration)) {}

  nlohmann::json to_json() const override { return {{"name", kName}, {"configuration", configuration_}}; }
  const ChunkSpec& encoded_spec() const override { return encoded_; }

  void encode(std::span<const std::byte> in, std::span<std::byte> out) const override {
    with_type(decoded_, [&]<class Decoded>(Decoded) {
      with_type(encoded_.dtype, [&]<class Stored>(Stored) { encode_all<Decoded, Stored>(in, out, offset_, scale_); });
    });
  }

  void decode(std::span<const std::byte> in, std::span<std::byte> out) const override {
    with_type(decoded_, [&]<class Decoded>(Decoded) {
      with_type(encoded_.dtype, [&]<class Stored>(Stored) { decode_all<Decoded, Stored>(in, out, offset_, scale_); });
    });
  }

 private:
  Number offset_;
  Number scale_;
  DataType decoded_;
  ChunkSpec encoded_;
  nlohmann::json configuration_;
};

Number parse_number(const char* member, const nlohmann::json& value) {
  if (!value.is_number())
    fail<InvalidArgument>("codec {}: a number expected as {}, found {}", kName, member, value.dump());
  Number number{value.get<double>(), std::nullopt};
  if (!std::isfinite(number.as_double)) fail<InvalidArgument>("codec {}: {} is not finite", kName, member);
  if (value.is_number_integer()) {
    if (!fits<std::int64_t>(static_cast<long double>(number.as_double)))
      fail<InvalidArgument>("codec {}: {} does not fit 64 bits", kName, member);
    number.as_integer = value.get<std::int64_t>();
  }
  return number;
}

// NumPy's names of a dtype: "<f4", "|u1", "f4", "float32".
DataType parse_numpy_dtype(const char* member, const std::string& text) {
  std::string_view rest = text;
  if (!rest.empty() && (rest[0] == '<' || rest[0] == '|' || rest[0] == '=')) rest.remove_prefix(1);
  for (const DataTypeInfo& entry : kDataTypes) {
    const bool short_name =
        rest.size() == 2 && rest[0] == entry.kind && rest[1] == static_cast<char>('0' + entry.bytes);
    if (entry.kind == 'b' || entry.type == DataType::kFloat16) continue;
    if (short_name || rest == entry.name) return entry.type;
  }
  fail<Unsupported>("codec {}: {} \"{}\" is not supported", kName, member, text);
}

}  // namespace

std::shared_ptr<const ArrayToArrayCodec> make_fixedscaleoffset(const nlohmann::json& configuration,
                                                               const ChunkSpec& chunk) {
  Configuration members(kName, configuration);
  const Number offset = parse_number("offset", members.any("offset"));
  const Number scale = parse_number("scale", members.any("scale"));
  const auto dtype = members.text("dtype");
  const auto astype = members.text("astype");
  members.finish();
  const DataType decoded = parse_numpy_dtype("dtype", dtype.value_or(std::string(name(chunk.dtype))));
  if (decoded != chunk.dtype)
    fail<InvalidArgument>("codec {}: dtype {} expected, found {}", kName, name(chunk.dtype), *dtype);
  if (scale.as_double == 0) fail<InvalidArgument>("codec {}: scale must not be 0", kName);
  const DataType stored = astype ? parse_numpy_dtype("astype", *astype) : decoded;
  return std::make_shared<FixedScaleOffsetCodec>(offset, scale, decoded, make_chunk_spec(stored, chunk.shape),
                                                 configuration);
}

}  // namespace hox::codec
