#include "homeobox/codec/bp128.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <limits>
#include <random>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/codec/bp128_layout.h"

namespace hox::codec {
namespace {

template <class T>
constexpr DataType type_of() {
  if constexpr (std::is_same_v<T, std::int8_t>) return DataType::kInt8;
  if constexpr (std::is_same_v<T, std::int32_t>) return DataType::kInt32;
  if constexpr (std::is_same_v<T, std::int64_t>) return DataType::kInt64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return DataType::kUint8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return DataType::kUint16;
  if constexpr (std::is_same_v<T, std::uint32_t>) return DataType::kUint32;
  if constexpr (std::is_same_v<T, std::uint64_t>) return DataType::kUint64;
  if constexpr (std::is_same_v<T, float>) return DataType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return DataType::kFloat64;
}

std::shared_ptr<const ArrayToBytesCodec> codec_for(DataType dtype, std::uint64_t n) {
  return make_bp128({{"version", 1}}, make_chunk_spec(dtype, {n}));
}

template <class T>
Bytes encode(const std::vector<T>& values) {
  Bytes encoded;
  codec_for(type_of<T>(), values.size())->encode(std::as_bytes(std::span(values)), encoded);
  return encoded;
}

template <class T>
std::vector<T> decode(const Bytes& encoded, std::uint64_t n, std::uint64_t begin, std::uint64_t end) {
  std::vector<T> values(end - begin);
  codec_for(type_of<T>(), n)->decode_range(encoded, begin, end, reinterpret_cast<std::byte*>(values.data()));
  return values;
}

bp128::Mode mode_of(const Bytes& encoded) { return static_cast<bp128::Mode>(encoded[0]); }

template <class T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return std::ranges::equal(std::as_bytes(a), std::as_bytes(b));
}

// Whole and in parts, bit for bit.
template <class T>
void expect_round_trip(const std::vector<T>& values, bp128::Mode mode, std::mt19937& random) {
  const Bytes encoded = encode(values);
  EXPECT_EQ(mode_of(encoded), mode);
  const std::uint64_t n = values.size();
  const auto whole = decode<T>(encoded, n, 0, n);
  EXPECT_TRUE(same_bits<T>(whole, values));
  for (int repeat = 0; repeat < 20; ++repeat) {
    const std::uint64_t begin = random() % (n + 1);
    const std::uint64_t end = begin + random() % (n + 1 - begin);
    const auto part = decode<T>(encoded, n, begin, end);
    EXPECT_TRUE(same_bits<T>(part, std::span(values).subspan(begin, end - begin))) << begin << " " << end;
  }
}

class Bp128Test : public testing::Test {
 protected:
  void SetUp() override {
    const unsigned seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    random_.seed(seed);
  }
  // Ascending features of cells one after another.
  template <class T>
  std::vector<T> features(std::size_t n, std::uint32_t n_features, std::uint32_t gap) {
    std::vector<T> values(n);
    std::uint32_t feature = 0;
    for (T& value : values) {
      feature += 1 + static_cast<std::uint32_t>(random_() % gap);
      if (feature >= n_features) feature = static_cast<std::uint32_t>(random_() % 3);
      value = static_cast<T>(feature);
    }
    return values;
  }
  template <class T>
  std::vector<T> counts(std::size_t n) {
    std::vector<T> values(n);
    std::geometric_distribution<int> geometric(0.5);
    for (T& value : values) value = static_cast<T>(1 + geometric(random_));
    return values;
  }
  std::mt19937 random_;
};

TEST_F(Bp128Test, SortedFeaturesGoAsDeltasForEveryLength) {
  for (const std::size_t n : {100U, 127U, 128U, 129U, 1023U, 1024U, 1025U, 4096U, 8192U, 10000U}) {
    expect_round_trip(features<std::uint32_t>(n, 33000, 60), bp128::Mode::kDelta, random_);
    expect_round_trip(features<std::int64_t>(std::max<std::size_t>(n, 300), 200000, 60), bp128::Mode::kDelta, random_);
  }
}

TEST_F(Bp128Test, CountsOfEveryTypeArePackedPlainAndComeBackInTheirType) {
  expect_round_trip(counts<std::uint8_t>(5000), bp128::Mode::kPlain, random_);
  expect_round_trip(counts<std::int8_t>(5000), bp128::Mode::kPlain, random_);
  expect_round_trip(counts<std::uint16_t>(5000), bp128::Mode::kPlain, random_);
  expect_round_trip(counts<std::int32_t>(5000), bp128::Mode::kPlain, random_);
  expect_round_trip(counts<std::uint64_t>(5000), bp128::Mode::kPlain, random_);
  expect_round_trip(counts<float>(5000), bp128::Mode::kPlain, random_);
  expect_round_trip(counts<double>(5000), bp128::Mode::kPlain, random_);
}

TEST_F(Bp128Test, NegativeAndLargeReferencesArePacked) {
  std::vector<std::int64_t> low(3000);
  std::vector<std::uint64_t> high(3000);
  for (std::size_t i = 0; i < low.size(); ++i) {
    low[i] = std::numeric_limits<std::int64_t>::min() + static_cast<std::int64_t>(random_() % 16);
    high[i] = std::numeric_limits<std::uint64_t>::max() - random_() % 16;
  }
  expect_round_trip(low, bp128::Mode::kPlain, random_);
  expect_round_trip(high, bp128::Mode::kPlain, random_);
}

TEST_F(Bp128Test, SlowlyWanderingValuesGoAsZigzag) {
  std::vector<std::int32_t> values(6000);
  std::int32_t value = 1000000;
  for (auto& v : values) v = value += static_cast<std::int32_t>(random_() % 9) - 4;
  expect_round_trip(values, bp128::Mode::kZigzag, random_);
}

TEST_F(Bp128Test, EqualElementsAreOneConstant) {
  expect_round_trip(std::vector<double>(700, 2.5), bp128::Mode::kConstant, random_);
  expect_round_trip(std::vector<float>(9, std::numeric_limits<float>::quiet_NaN()), bp128::Mode::kConstant, random_);
  expect_round_trip(std::vector<std::uint16_t>(1, 7), bp128::Mode::kConstant, random_);
}

TEST_F(Bp128Test, WhatIsNoWholeNumberKeepsItsBits) {
  for (const float odd : {-0.0F, 0.5F, std::numeric_limits<float>::infinity(), std::nanf("77"), 3e9F}) {
    std::vector<float> values = counts<float>(4000);
    values[1234] = odd;
    expect_round_trip(values, bp128::Mode::kZstd, random_);
  }
  std::vector<double> wide = counts<double>(4000);
  wide[5] = 1e300;
  expect_round_trip(wide, bp128::Mode::kZstd, random_);
}

TEST_F(Bp128Test, NoiseIsKeptRaw) {
  std::vector<std::uint64_t> values(4000);
  std::mt19937_64 noise(random_());
  for (auto& value : values) value = noise();
  expect_round_trip(values, bp128::Mode::kRaw, random_);
}

TEST_F(Bp128Test, PanelsGoToTheEntropyCoder) {
  expect_round_trip(features<std::uint32_t>(8192, 28, 9), bp128::Mode::kZstdDelta, random_);
}

TEST_F(Bp128Test, ZerosAtTheEndCostNothing) {
  std::vector<std::uint32_t> values = features<std::uint32_t>(1000, 33000, 60);
  const std::size_t short_bytes = encode(values).size();
  values.resize(8192);
  EXPECT_EQ(encode(values).size(), short_bytes);
  expect_round_trip(values, bp128::Mode::kDelta, random_);
}

TEST_F(Bp128Test, ADeltaBlockOfAnyWidthDecodes) {
  for (std::uint32_t bits = 1; bits <= 32; ++bits) {
    std::vector<std::uint32_t> values(1500);
    for (auto& value : values) value = static_cast<std::uint32_t>(random_()) >> (32 - bits);
    std::sort(values.begin(), values.end());
    const Bytes encoded = encode(values);
    EXPECT_EQ(decode<std::uint32_t>(encoded, values.size(), 0, values.size()), values) << bits;
  }
}

// The checksum covers everything, so a changed byte is noticed wherever a decoded element depends on it.
template <class T>
void expect_every_flip_noticed(const std::vector<T>& values) {
  const Bytes encoded = encode(values);
  for (std::size_t at = 0; at < encoded.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      Bytes damaged = encoded;
      damaged[at] ^= static_cast<std::byte>(flip);
      try {
        EXPECT_EQ(decode<T>(damaged, values.size(), 0, values.size()), values) << "byte " << at;
      } catch (const CorruptData&) {
      }
    }
  }
}

TEST_F(Bp128Test, AFlippedByteNeverBecomesOtherData) {
  expect_every_flip_noticed(features<std::uint32_t>(3000, 33000, 60));
  expect_every_flip_noticed(counts<float>(3000));
  expect_every_flip_noticed(std::vector<std::uint32_t>(500, 3));
  expect_every_flip_noticed(features<std::uint32_t>(3000, 28, 9));
  std::vector<float> fractions = counts<float>(300);
  fractions[3] = 0.25F;
  expect_every_flip_noticed(fractions);
}

TEST_F(Bp128Test, TruncatedChunksAreCorrupt) {
  const auto values = features<std::uint32_t>(3000, 33000, 60);
  const Bytes encoded = encode(values);
  for (std::size_t n = 0; n < encoded.size(); ++n) {
    const Bytes cut(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_THROW(decode<std::uint32_t>(cut, values.size(), 0, values.size()), CorruptData) << n;
  }
}

TEST(Bp128Configuration, VersionsAreKnownMissingOrTooNew) {
  const ChunkSpec spec = make_chunk_spec(DataType::kUint32, {128});
  EXPECT_EQ(make_bp128({{"version", 1}}, spec)->to_json(),
            nlohmann::json::parse(R"({"name": "homeobox.bp128", "configuration": {"version": 1}})"));
  EXPECT_THROW(make_bp128(nlohmann::json::object(), spec), InvalidArgument);
  EXPECT_THROW(make_bp128({{"version", 2}}, spec), Unsupported);
  EXPECT_THROW(make_bp128({{"version", 1}, {"speed", 9}}, spec), InvalidArgument);
}

}  // namespace
}  // namespace hox::codec
