// Element types that the core reads and writes: bool, 8 to 64 bit integers, 16 to 64 bit floats.
//
// Names are those of Zarr v3 ("uint32"). Decoded data is always in native byte order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace hox {

enum class DataType : std::uint8_t {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFloat16,
  kFloat32,
  kFloat64
};

struct DataTypeInfo {
  DataType type;
  std::string_view name;
  std::uint8_t bytes;
  char kind;  // numpy's dtype.kind: b, i, u, f
};

inline constexpr std::array<DataTypeInfo, 12> kDataTypes = {{
    {DataType::kBool, "bool", 1, 'b'},
    {DataType::kInt8, "int8", 1, 'i'},
    {DataType::kInt16, "int16", 2, 'i'},
    {DataType::kInt32, "int32", 4, 'i'},
    {DataType::kInt64, "int64", 8, 'i'},
    {DataType::kUint8, "uint8", 1, 'u'},
    {DataType::kUint16, "uint16", 2, 'u'},
    {DataType::kUint32, "uint32", 4, 'u'},
    {DataType::kUint64, "uint64", 8, 'u'},
    {DataType::kFloat16, "float16", 2, 'f'},
    {DataType::kFloat32, "float32", 4, 'f'},
    {DataType::kFloat64, "float64", 8, 'f'},
}};

constexpr const DataTypeInfo& info(DataType type) noexcept { return kDataTypes[static_cast<std::size_t>(type)]; }
constexpr std::size_t element_bytes(DataType type) noexcept { return info(type).bytes; }
constexpr std::string_view name(DataType type) noexcept { return info(type).name; }

constexpr std::optional<DataType> parse_data_type(std::string_view text) noexcept {
  for (const DataTypeInfo& entry : kDataTypes)
    if (entry.name == text) return entry.type;
  return std::nullopt;
}

}  // namespace hox
