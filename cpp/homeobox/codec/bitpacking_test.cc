#include "homeobox/codec/bitpacking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "homeobox/base/error.h"

namespace hox::codec {
namespace {

constexpr const char* kTransforms[] = {"none", "delta", "delta_zigzag"};

std::shared_ptr<const BytesToBytesCodec> codec(const std::string& transform, int element_size = 4) {
  return make_bitpacking({{"transform", transform}, {"element_size", element_size}},
                         make_chunk_spec(DataType::kUint32, {1}));
}

template <class T>
Bytes encode(const std::string& transform, const std::vector<T>& values) {
  Bytes encoded;
  codec(transform, sizeof(T))->encode(std::as_bytes(std::span(values)), encoded);
  return encoded;
}

template <class T>
std::vector<T> decode(const Bytes& encoded, std::size_t n) {
  Bytes bytes;
  codec("none", sizeof(T))->decode(encoded, n * sizeof(T), bytes);
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::string hex(const Bytes& bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

using Words = std::vector<std::uint32_t>;

// Vectors of FORMAT.md, confirmed against the format's first implementation.
TEST(Bitpacking, KnownVectors) {
  EXPECT_EQ(hex(encode("none", Words{})), "0000000000");
  EXPECT_EQ(hex(encode("none", Words{42})), "0001000000062a" + std::string(2 * 95, '0'));
  EXPECT_EQ(hex(encode("none", Words(128, 0))), "008000000000");
  Words mod8(128);
  for (std::uint32_t i = 0; i < 128; ++i) mod8[i] = i % 8;
  EXPECT_EQ(
      hex(encode("none", mod8)),
      "00800000000320088220699aa669b22ccbb2fbbeeffb088220089aa6699a2ccbb22cbeeffbbe82200882a6699aa6cbb22ccbeffbbeef");
  EXPECT_EQ(hex(encode("delta", Words{1, 3, 6, 10, 0, 2, 5})),
            "01070000002001000000020000000300000004000000f6ffffff0200000003000000" + std::string(2 * 484, '0'));
  EXPECT_EQ(hex(encode("delta_zigzag", Words{0, 1, 2, 3, 100, 0, 1, 2, 50, 0, 5, 10})),
            "020c0000000800c2600002c7630002020a0002020a00" + std::string(2 * 112, '0'));
  EXPECT_EQ(hex(encode("none", Words(128, 0xffffffff))), "008000000020" + std::string(4 * 256, 'f'));
  EXPECT_EQ(
      hex(encode("none", std::vector<std::uint64_t>{1, (std::uint64_t{1} << 33) + 5})),
      "00020000000301000000050000" + std::string(2 * 41, '0') + "0200000000020000" + std::string(2 * 25, '0') + "");
}

TEST(Bitpacking, EveryTransformRoundTripsWholeAndInRanges) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  for (const char* const transform : kTransforms) {
    for (std::uint32_t bits = 0; bits <= 32; ++bits) {
      Words values(1 + random() % 700);
      for (auto& value : values) value = bits == 0 ? 0 : static_cast<std::uint32_t>(random()) >> (32 - bits);
      const Bytes encoded = encode(transform, values);
      EXPECT_EQ(decode<std::uint32_t>(encoded, values.size()), values);
      const std::uint64_t n_bytes = values.size() * 4;
      for (int repeat = 0; repeat < 10; ++repeat) {
        const std::uint64_t begin = random() % (n_bytes + 1);
        const std::uint64_t end = begin + random() % (n_bytes + 1 - begin);
        Bytes part(end - begin);
        codec(transform)->decode_range(encoded, n_bytes, begin, end, part.data());
        const auto* const whole = reinterpret_cast<const std::byte*>(values.data());
        EXPECT_TRUE(std::equal(part.begin(), part.end(), whole + begin));
      }
      std::vector<std::uint64_t> wide(values.begin(), values.end());
      for (auto& value : wide) value = value << (random() % 32);
      EXPECT_EQ(decode<std::uint64_t>(encode(transform, wide), wide.size()), wide);
    }
  }
}

TEST(Bitpacking, TheAdaptiveEncoderTakesTheSmallestTransformAndStoresNoSignOfItself) {
  const auto adaptive = make_bitpacking({{"transform", "delta"}, {"element_size", 4}, {"adaptive", true}},
                                        make_chunk_spec(DataType::kUint32, {1}));
  EXPECT_EQ(adaptive->to_json()["configuration"], (nlohmann::json{{"transform", "delta"}, {"element_size", 4}}));
  Words ascending(1000);
  for (std::uint32_t i = 0; i < ascending.size(); ++i) ascending[i] = 7 * i;
  Bytes encoded;
  adaptive->encode(std::as_bytes(std::span(ascending)), encoded);
  std::size_t smallest = ~std::size_t{0};
  for (const char* const transform : kTransforms) smallest = std::min(smallest, encode(transform, ascending).size());
  EXPECT_EQ(encoded.size(), smallest);
  EXPECT_EQ(decode<std::uint32_t>(encoded, ascending.size()), ascending);
}

TEST(Bitpacking, BytesBehindTheLastBlockAreIgnored) {
  Bytes encoded = encode("delta", Words{4, 9, 12});
  encoded.insert(encoded.end(), 9, std::byte{0xee});
  EXPECT_EQ(decode<std::uint32_t>(encoded, 3), (Words{4, 9, 12}));
}

TEST(Bitpacking, MalformedStreamsAreCorrupt) {
  const Bytes good = encode("delta", Words(300, 5));
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_THROW(decode<std::uint32_t>(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)), 300),
                 CorruptData);
  Bytes transform = good;
  transform[0] = std::byte{3};
  EXPECT_THROW(decode<std::uint32_t>(transform, 300), CorruptData);
  Bytes width = good;
  width[5] = std::byte{33};
  EXPECT_THROW(decode<std::uint32_t>(width, 300), CorruptData);
  Bytes count = good;
  count[4] = std::byte{0xff};  // claims four billion words
  EXPECT_THROW(decode<std::uint32_t>(count, 300), CorruptData);
}

TEST(Bitpacking, ConfigurationsAreChecked) {
  const ChunkSpec spec = make_chunk_spec(DataType::kUint32, {1});
  EXPECT_THROW(make_bitpacking({{"transform", "xor"}, {"element_size", 4}}, spec), InvalidArgument);
  EXPECT_THROW(make_bitpacking({{"transform", "none"}}, spec), InvalidArgument);
  EXPECT_THROW(make_bitpacking({{"transform", "none"}, {"element_size", 6}}, spec), InvalidArgument);
  EXPECT_THROW(encode("none", std::vector<std::uint8_t>(3)), InvalidArgument);
}

}  // namespace
}  // namespace hox::codec
