#include "homeobox/codec/chain.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "homeobox/base/error.h"
#include "homeobox/codec/codec_table.h"

namespace hox::codec {
namespace {

using Json = nlohmann::json;

const Json kLittle = {{"name", "bytes"}, {"configuration", {{"endian", "little"}}}};
const Json kBig = {{"name", "bytes"}, {"configuration", {{"endian", "big"}}}};
const Json kBitpacking = {{"name", "homeobox.bitpacking"},
                          {"configuration", {{"transform", "delta"}, {"element_size", 4}}}};
const Json kBp128 = {{"name", "homeobox.bp128"}, {"configuration", {{"version", 1}}}};
const Json kTranspose = {{"name", "transpose"}, {"configuration", {{"order", {1, 0}}}}};
const Json kZstdChecked = {{"name", "zstd"}, {"configuration", {{"level", 1}, {"checksum", true}}}};

ChunkSpec uint32_spec() { return make_chunk_spec(DataType::kUint32, {25, 12}); }

Bytes random_chunk() {
  std::mt19937 generator(7);
  std::vector<std::uint32_t> values(300);
  for (std::uint32_t& value : values) value = static_cast<std::uint32_t>(generator() % 1000);
  Bytes bytes(values.size() * 4);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

struct Chain {
  Json codecs;
  bool decodes_ranges;
};

const std::vector<Chain>& chains() {
  static const std::vector<Chain> list = {
      {Json::array({kLittle}), true},
      {Json::array({kBig}), true},
      {Json::array({kLittle, "crc32c"}), true},
      {Json::array({kBp128}), true},
      {Json::array({kBp128, "crc32c"}), true},
      {Json::array({kBp128, "zstd"}), false},
      {Json::array({kLittle, kBitpacking}), true},
      {Json::array({kLittle, kBitpacking, "crc32c"}), true},
      {Json::array({kBig, kBitpacking}), false},
      {Json::array({kLittle, kBitpacking, "zstd"}), false},
      {Json::array({kLittle, "crc32c", kBitpacking, "crc32c"}), false},
      {Json::array({kLittle, "zstd"}), false},
      {Json::array({kLittle, "gzip", "crc32c"}), false},
      {Json::array({kLittle, "numcodecs.shuffle", kZstdChecked}), false},
      {Json::array({kBig, "blosc"}), false},
      {Json::array({kTranspose, kLittle}), false},
      {Json::array({kTranspose, kTranspose, kTranspose, kLittle, "zstd"}), false},
  };
  return list;
}

TEST(CodecChain, EveryChainComesBackWholeAndInRanges) {
  const Bytes chunk = random_chunk();
  for (const Chain& example : chains()) {
    const CodecChain chain = CodecChain::parse(example.codecs, uint32_spec());
    EXPECT_EQ(chain.decodes_ranges(), example.decodes_ranges) << example.codecs;
    Scratch scratch;
    Bytes encoded;
    chain.encode(chunk, encoded, scratch);
    EXPECT_LE(encoded.size(), chain.max_encoded_bytes()) << example.codecs;
    Bytes decoded(chunk.size());
    chain.decode(encoded, decoded, scratch);
    EXPECT_EQ(decoded, chunk) << example.codecs;
    for (const auto& [begin, end] :
         {std::pair{0U, 300U}, {0U, 0U}, {300U, 300U}, {1U, 2U}, {127U, 129U}, {50U, 299U}}) {
      Bytes part((end - begin) * 4);
      chain.decode_range(encoded, begin, end, part.data(), scratch);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), chunk.begin() + begin * 4)) << example.codecs << begin;
    }
    EXPECT_THROW(chain.decode_range(encoded, 0, 301, decoded.data(), scratch), OutOfRange);
  }
}

TEST(CodecChain, ToJsonParsesToTheSameChain) {
  for (const Chain& example : chains()) {
    const Json json = CodecChain::parse(example.codecs, uint32_spec()).to_json();
    EXPECT_EQ(CodecChain::parse(json, uint32_spec()).to_json(), json);
  }
}

// Damage gives an error or some chunk, within memory: run under the sanitizers.
TEST(CodecChain, DamagedBytesNeverCrash) {
  const Bytes chunk = random_chunk();
  std::mt19937 generator(11);
  for (const Chain& example : chains()) {
    const CodecChain chain = CodecChain::parse(example.codecs, uint32_spec());
    Scratch scratch;
    Bytes encoded;
    chain.encode(chunk, encoded, scratch);
    for (int round = 0; round < 300; ++round) {
      Bytes damaged = encoded;
      if (round % 3 == 0) damaged.resize(generator() % (encoded.size() + 1));
      for (int flips = 0; flips < round % 5 && !damaged.empty(); ++flips)
        damaged[generator() % damaged.size()] ^= static_cast<std::byte>(1U << (generator() % 8));
      Bytes decoded(chunk.size());
      try {
        chain.decode(damaged, decoded, scratch);
      } catch (const CorruptData&) {
      }
      try {
        chain.decode_range(damaged, 100, 200, decoded.data(), scratch);
      } catch (const CorruptData&) {
      }
    }
  }
}

TEST(CodecChain, ChecksumsNoticeEveryFlip) {
  const Bytes chunk = random_chunk();
  for (const Json& codecs :
       {Json::array({kLittle, "crc32c"}), Json::array({kLittle, kBitpacking, "crc32c"}), Json::array({kBp128})}) {
    const CodecChain chain = CodecChain::parse(codecs, uint32_spec());
    Scratch scratch;
    Bytes encoded;
    chain.encode(chunk, encoded, scratch);
    Bytes decoded(chunk.size());
    for (std::byte& byte : encoded) {
      byte ^= std::byte{4};
      EXPECT_THROW(chain.decode(encoded, decoded, scratch), CorruptData) << codecs;
      byte ^= std::byte{4};
    }
  }
}

// A frame that unpacks to far more than a chunk is refused before the memory is there.
TEST(CodecChain, RefusesBombs) {
  const ChunkSpec large = make_chunk_spec(DataType::kUint8, {64 << 20});
  const ChunkSpec small = make_chunk_spec(DataType::kUint8, {64});
  for (const char* compressor : {"zstd", "gzip", "blosc"}) {
    Scratch encoding;
    Bytes bomb;
    CodecChain::parse(Json::array({"bytes", compressor}), large).encode(Bytes(large.bytes()), bomb, encoding);
    Scratch scratch;
    Bytes decoded(small.bytes());
    EXPECT_THROW(CodecChain::parse(Json::array({"bytes", compressor}), small).decode(bomb, decoded, scratch),
                 CorruptData);
    const CodecChain nested = CodecChain::parse(Json::array({"bytes", "gzip", compressor}), small);
    EXPECT_THROW(nested.decode(bomb, decoded, scratch), CorruptData);
    EXPECT_LT(scratch.first.capacity() + scratch.second.capacity(), std::size_t{1} << 20);
  }
}

TEST(CodecChain, BigEndianBytesAreReversedElements) {
  const CodecChain chain = CodecChain::parse(Json::array({kBig}), make_chunk_spec(DataType::kUint16, {2}));
  const std::vector<std::uint16_t> values = {0x0102, 0x0304};
  Scratch scratch;
  Bytes encoded;
  chain.encode(std::as_bytes(std::span(values)), encoded, scratch);
  EXPECT_EQ(encoded, (Bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}}));
}

TEST(CodecTable, NamesAreSortedAndFound) {
  const std::span<const CodecEntry> table = codec_table();
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (i > 0) {
      EXPECT_LT(table[i - 1].name, table[i].name);
    }
    EXPECT_EQ(find_codec(table[i].name), &table[i]);
  }
  EXPECT_EQ(find_codec("sharding_indexed"), nullptr);
}

TEST(ChunkSpec, RefusesSizesThatOverflow) {
  EXPECT_EQ(make_chunk_spec(DataType::kFloat64, {3, 4}).bytes(), 96U);
  EXPECT_EQ(make_chunk_spec(DataType::kFloat64, {}).elements, 1U);
  const std::uint64_t large = std::uint64_t{1} << 40;
  EXPECT_THROW(make_chunk_spec(DataType::kUint8, {large, large}), InvalidArgument);
  EXPECT_THROW(make_chunk_spec(DataType::kFloat64, {large, 1 << 18}), InvalidArgument);
}

}  // namespace
}  // namespace hox::codec
