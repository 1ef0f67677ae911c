#include "homeobox/zarr/shard_index.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "homeobox/base/error.h"

namespace hox::zarr {
namespace {

constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

std::vector<std::byte> from_hex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::vector<ChunkExtent> parse(const std::vector<ChunkExtent>& extents, const ShardIndexEncoding& encoding,
                               std::uint64_t object_bytes, std::uint64_t max_chunk_bytes = kNoLimit) {
  return parse_shard_index(encode_shard_index(extents, encoding), extents.size(), encoding, object_bytes,
                           max_chunk_bytes);
}

// FORMAT: four chunks, of which two are present, in an object of 58 bytes of chunks and 68 of index.
TEST(ShardIndex, MatchesTheVectorOfTheFormat) {
  const std::vector<std::byte> stored = from_hex(
      "0000000000000000250000000000000025000000000000001500000000000000"
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff69bab13c");
  const std::vector<ChunkExtent> extents = {{0, 37}, {37, 21}, {}, {}};
  EXPECT_EQ(encode_shard_index(extents, {}), stored);
  const std::vector<ChunkExtent> parsed = parse_shard_index(stored, 4, {}, 58 + 68, kNoLimit);
  EXPECT_EQ(parsed[1].begin, 37U);
  EXPECT_EQ(parsed[1].end(), 58U);
  EXPECT_TRUE(parsed[0].present());
  EXPECT_FALSE(parsed[2].present());
}

TEST(ShardIndex, EveryEncodingComesBack) {
  for (const bool at_end : {false, true}) {
    for (const bool big_endian : {false, true}) {
      for (const bool has_crc32c : {false, true}) {
        const ShardIndexEncoding encoding{at_end, big_endian, has_crc32c};
        const std::uint64_t index_bytes = shard_index_bytes(3, encoding);
        const std::uint64_t base = at_end ? 0 : index_bytes;
        const auto parsed = parse({{base + 5, 3}, {}, {base + 1, 4}}, encoding, index_bytes + 8);
        EXPECT_EQ(parsed[0].begin, base + 5);
        EXPECT_FALSE(parsed[1].present());
        EXPECT_EQ(parsed[2].n_bytes, 4U);
      }
    }
  }
}

TEST(ShardIndex, RefusesExtentsOutsideTheChunksPart) {
  const ShardIndexEncoding at_end;
  EXPECT_NO_THROW(parse({{0, 8}}, at_end, 28));
  EXPECT_THROW(parse({{0, 9}}, at_end, 28), CorruptData);
  EXPECT_THROW(parse({{9, 0}}, at_end, 28), CorruptData);
  EXPECT_THROW(parse({{kNoLimit - 1, 2}}, at_end, 28), CorruptData);  // wraps
  EXPECT_THROW(parse({{kNoLimit, 2}}, at_end, 28), CorruptData);
  EXPECT_THROW(parse({{2, kNoLimit}}, at_end, 28), CorruptData);
  const ShardIndexEncoding at_start{.at_end = false};
  EXPECT_NO_THROW(parse({{20, 8}}, at_start, 28));
  EXPECT_THROW(parse({{19, 8}}, at_start, 28), CorruptData);
  EXPECT_THROW(parse({{20, 9}}, at_start, 28), CorruptData);
}

TEST(ShardIndex, RefusesOverlapsInAnyOrder) {
  EXPECT_NO_THROW(parse({{8, 8}, {0, 8}}, {}, 16 + 36));
  EXPECT_THROW(parse({{8, 8}, {0, 9}}, {}, 16 + 36), CorruptData);
  EXPECT_THROW(parse({{0, 9}, {8, 8}}, {}, 16 + 36), CorruptData);
  EXPECT_THROW(parse({{0, 8}, {0, 8}}, {}, 16 + 36), CorruptData);
  // An empty extent overlaps nothing.
  EXPECT_NO_THROW(parse({{0, 8}, {4, 0}}, {}, 16 + 36));
}

TEST(ShardIndex, RefusesLongChunksAndWrongSizes) {
  EXPECT_NO_THROW(parse({{0, 8}}, {}, 28, 8));
  EXPECT_THROW(parse({{0, 8}}, {}, 28, 7), CorruptData);
  const std::vector<std::byte> index = encode_shard_index(std::vector<ChunkExtent>(2), {});
  EXPECT_THROW(parse_shard_index(std::span(index).first(35), 2, {}, 100, kNoLimit), CorruptData);
  EXPECT_THROW(parse_shard_index(index, 3, {}, 100, kNoLimit), CorruptData);
  EXPECT_THROW(parse_shard_index(index, 2, {}, 35, kNoLimit), CorruptData);
}

TEST(ShardIndex, ChecksumCoversEveryByte) {
  std::vector<std::byte> index = encode_shard_index(std::vector<ChunkExtent>{{0, 8}, {}}, {});
  for (std::byte& byte : index) {
    byte ^= std::byte{1};
    EXPECT_THROW(parse_shard_index(index, 2, {}, 100, kNoLimit), CorruptData);
    byte ^= std::byte{1};
  }
}

TEST(ShardIndex, SizesThatOverflowAreTheCallersFault) {
  EXPECT_EQ(shard_index_bytes(1024, {}), 16388U);
  EXPECT_THROW(shard_index_bytes(std::uint64_t{1} << 60, {}), InvalidArgument);
}

}  // namespace
}  // namespace hox::zarr
