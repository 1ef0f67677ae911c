#include "homeobox/zarr/metadata.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "homeobox/base/error.h"
#include "homeobox/zarr/fill_value.h"

namespace hox::zarr {
namespace {

// As zarr-python 3.1 writes it, with its line breaks taken out.
constexpr const char* kSharded = R"({
"shape": [2286884], "data_type": "uint32",
"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [41943040]}},
"chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
"fill_value": 0,
"codecs": [{"name": "sharding_indexed", "configuration": {
  "chunk_shape": [40960],
  "codecs": [{"name": "bytes", "configuration": {"endian": "little"}},
             {"name": "homeobox.bitpacking", "configuration": {"transform": "delta", "element_size": 4}}],
  "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
  "index_location": "end"}}],
"attributes": {"unit": "counts", "an": 1}, "zarr_format": 3, "node_type": "array", "storage_transformers": []})";

TEST(ArrayMetadata, ParsesWhatZarrPythonWrites) {
  const ArrayMetadata metadata = ArrayMetadata::parse(kSharded, "g/csr/indices");
  EXPECT_EQ(metadata.shape, std::vector<std::uint64_t>{2286884});
  EXPECT_EQ(metadata.dtype, DataType::kUint32);
  EXPECT_TRUE(metadata.is_sharded);
  EXPECT_EQ(metadata.shard_shape, std::vector<std::uint64_t>{41943040});
  EXPECT_EQ(metadata.chunk_shape, std::vector<std::uint64_t>{40960});
  EXPECT_TRUE(metadata.index_encoding.at_end);
  EXPECT_TRUE(metadata.index_encoding.has_crc32c);
  EXPECT_EQ(metadata.codecs.size(), 2U);
}

TEST(ArrayMetadata, TextComesBackWithItsKeyOrder) {
  const std::string text = dump_json(Json::parse(kSharded));
  EXPECT_EQ(ArrayMetadata::parse(text, "a").to_text(), text);
}

Json edited(const char* pointer, const Json& value) {
  Json json = Json::parse(kSharded);
  json[Json::json_pointer(pointer)] = value;
  return json;
}

TEST(ArrayMetadata, ErrorsNameTheArrayAndTheMember) {
  const auto message_of = [](const Json& json) -> std::string {
    try {
      ArrayMetadata::parse(json.dump(), "g/x");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message_of(edited("/data_type", "complex64")),
            "array g/x: zarr.json: data_type \"complex64\" is not supported");
  EXPECT_EQ(message_of(edited("/fill_value", 1.5)),
            "array g/x: zarr.json: fill_value: a value of uint32 expected, found 1.5");
  EXPECT_EQ(
      message_of(edited("/codecs/0/configuration/chunk_shape/0", 40961)),
      "array g/x: zarr.json: sharding_indexed: shards of 41943040 are not a multiple of chunks of 40961 on axis 0");
}

TEST(ArrayMetadata, DefaultsOfTheSpecification) {
  Json json = Json::parse(kSharded);
  json["chunk_key_encoding"] = "v2";
  json["codecs"][0]["configuration"].erase("index_location");
  json["codecs"][0]["configuration"]["index_codecs"] = Json::array({"bytes"});
  json.erase("attributes");
  json.erase("storage_transformers");
  const ArrayMetadata metadata = ArrayMetadata::parse(json.dump(), "a");
  EXPECT_TRUE(metadata.key_encoding.is_v2);
  EXPECT_EQ(metadata.key_encoding.separator, '.');
  EXPECT_TRUE(metadata.index_encoding.at_end);
  EXPECT_FALSE(metadata.index_encoding.has_crc32c);
  EXPECT_TRUE(metadata.attributes.empty());
}

TEST(ArrayMetadata, RefusesDeepNestingWithoutRecursion) {
  const std::string deep(1000000, '[');
  EXPECT_THROW(ArrayMetadata::parse(deep, "a"), CorruptData);
}

template <class T>
T fill_value(const Json& json, DataType dtype) {
  const std::vector<std::byte> bytes = parse_fill_value(json, dtype);
  T value;
  EXPECT_EQ(bytes.size(), sizeof(T));
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

TEST(FillValue, FloatsInEveryForm) {
  EXPECT_EQ(fill_value<float>(0.1, DataType::kFloat32), 0.1F);
  EXPECT_EQ(fill_value<std::uint32_t>("NaN", DataType::kFloat32), 0x7fc00000U);
  EXPECT_EQ(fill_value<std::uint64_t>("NaN", DataType::kFloat64), 0x7ff8000000000000U);
  EXPECT_EQ(fill_value<std::uint16_t>("NaN", DataType::kFloat16), 0x7e00U);
  EXPECT_EQ(fill_value<double>("-Infinity", DataType::kFloat64), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(fill_value<std::uint32_t>("0x7fc00001", DataType::kFloat32), 0x7fc00001U);
  EXPECT_EQ(fill_value<std::uint16_t>("0xABCD", DataType::kFloat16), 0xabcdU);
  for (const char* bad : {"nan", "0x7fc0", "0x7fc000011", "0x7fc0000g", "0x-fc00001", ""})
    EXPECT_THROW(parse_fill_value(bad, DataType::kFloat32), InvalidArgument) << bad;
}

TEST(FillValue, HalvesRoundToNearestEven) {
  const auto half = [](double value) { return fill_value<std::uint16_t>(value, DataType::kFloat16); };
  EXPECT_EQ(half(1.0), 0x3c00);
  EXPECT_EQ(half(-2.5), 0xc100);
  EXPECT_EQ(half(65504), 0x7bff);
  EXPECT_EQ(half(65519.9), 0x7bff);
  EXPECT_EQ(half(65520), 0x7c00);
  EXPECT_EQ(half(2049), 0x6800);  // ties to even
  EXPECT_EQ(half(2051), 0x6802);
  EXPECT_EQ(half(std::ldexp(1.0, -24)), 0x0001);
  EXPECT_EQ(half(std::ldexp(1.0, -25)), 0x0000);
  EXPECT_EQ(half(std::ldexp(1023.7, -24)), 0x0400);  // carries into the normal numbers
  EXPECT_EQ(half(-0.0), 0x8000);
}

TEST(FillValue, EveryHalfComesBack) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const Json json = fill_value_to_json(std::as_bytes(std::span(&half, 1)), DataType::kFloat16);
    EXPECT_EQ(fill_value<std::uint16_t>(json, DataType::kFloat16), half) << json;
  }
}

TEST(FillValue, IntegersKeepTheirRange) {
  EXPECT_EQ(fill_value<std::uint64_t>(18446744073709551615U, DataType::kUint64), 18446744073709551615U);
  EXPECT_EQ(fill_value<std::int8_t>(-128, DataType::kInt8), -128);
  EXPECT_EQ(fill_value<std::int32_t>(0.0, DataType::kInt32), 0);
  EXPECT_THROW(parse_fill_value(256, DataType::kUint8), InvalidArgument);
  EXPECT_THROW(parse_fill_value(-1, DataType::kUint64), InvalidArgument);
  EXPECT_THROW(parse_fill_value(0.5, DataType::kInt32), InvalidArgument);
  EXPECT_THROW(parse_fill_value(1e300, DataType::kInt64), InvalidArgument);
  EXPECT_THROW(parse_fill_value(true, DataType::kInt32), InvalidArgument);
  EXPECT_THROW(parse_fill_value(0, DataType::kBool), InvalidArgument);
  EXPECT_THROW(parse_fill_value(nullptr, DataType::kInt32), InvalidArgument);
}

}  // namespace
}  // namespace hox::zarr
