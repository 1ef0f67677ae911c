#include "homeobox/zarr/chunk_grid.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>
#include <utility>

#include "homeobox/base/error.h"

namespace hox::zarr {
namespace {

ChunkGrid make_grid(Coordinates shape, Coordinates chunk_shape, Coordinates shard_shape, ChunkKeyEncoding keys = {}) {
  ArrayMetadata metadata;
  metadata.shape = std::move(shape);
  metadata.chunk_shape = std::move(chunk_shape);
  metadata.shard_shape = std::move(shard_shape);
  metadata.key_encoding = keys;
  return ChunkGrid::make(metadata);
}

TEST(ChunkGrid, CountsPartialChunksAndShards) {
  const ChunkGrid grid = make_grid({100}, {8}, {32});
  EXPECT_EQ(grid.n_chunks(), 13U);
  EXPECT_EQ(grid.n_shards(), 4U);
  EXPECT_EQ(grid.chunks_per_shard(), 4U);
  EXPECT_EQ(grid.locate(12).shard, 3U);
  EXPECT_EQ(grid.locate(12).slot, 0U);
  EXPECT_EQ(grid.shard_key(3), "c/3");
}

TEST(ChunkGrid, EveryChunkHasASlotOfItsOwn) {
  for (const auto& [shape, chunks, shards] : {
           std::tuple<Coordinates, Coordinates, Coordinates>{{100}, {8}, {32}},
           {{10, 7}, {2, 3}, {4, 6}},
           {{10, 7}, {2, 7}, {4, 7}},
           {{5, 4, 3}, {1, 2, 3}, {2, 2, 6}},
           {{5}, {8}, {8}},
       }) {
    const ChunkGrid grid = make_grid(shape, chunks, shards);
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    for (std::uint64_t chunk = 0; chunk < grid.n_chunks(); ++chunk) {
      const ChunkLocation location = grid.locate(chunk);
      EXPECT_LT(location.shard, grid.n_shards());
      EXPECT_LT(location.slot, grid.chunks_per_shard());
      EXPECT_TRUE(seen.insert({location.shard, location.slot}).second) << "chunk " << chunk;
      EXPECT_EQ(grid.chunk_number(grid.chunk_coordinates(chunk)), chunk);
    }
  }
}

TEST(ChunkGrid, LocatesBeyond32Bits) {
  const std::uint64_t large = std::uint64_t{1} << 40;
  const ChunkGrid grid = make_grid({large}, {2}, {6});
  EXPECT_EQ(grid.locate(large / 2 - 1).shard, (large / 2 - 1) / 3);
  EXPECT_EQ(grid.locate(large / 2 - 1).slot, (large / 2 - 1) % 3);
}

TEST(ChunkGrid, Keys) {
  EXPECT_EQ(make_grid({9, 9}, {1, 1}, {3, 3}).shard_key(5), "c/1/2");
  EXPECT_EQ(make_grid({9, 9}, {1, 1}, {3, 3}, {false, '.'}).shard_key(5), "c.1.2");
  EXPECT_EQ(make_grid({9, 9}, {1, 1}, {3, 3}, {true, '.'}).shard_key(5), "1.2");
  EXPECT_EQ(make_grid({9, 9}, {1, 1}, {3, 3}, {true, '/'}).shard_key(5), "1/2");
  EXPECT_EQ(make_grid({}, {}, {}).shard_key(0), "c");
  EXPECT_EQ(make_grid({}, {}, {}, {true, '.'}).shard_key(0), "0");
}

TEST(ChunkGrid, RowsOfChunksDoNotNeedRows) {
  const ChunkGrid grid = make_grid({0, 7}, {2, 3}, {4, 6});
  EXPECT_EQ(grid.n_chunks(), 0U);
  EXPECT_EQ(grid.chunks_per_row(), 3U);
  EXPECT_EQ(grid.shards_per_row(), 2U);
}

TEST(ChunkGrid, RefusesProductsThatOverflow) {
  const std::uint64_t large = std::uint64_t{1} << 40;
  EXPECT_THROW(make_grid({large, large}, {1, 1}, {1, 1}), InvalidArgument);
  EXPECT_THROW(make_grid({1, 1}, {1, 1}, {large, large}), InvalidArgument);
}

}  // namespace
}  // namespace hox::zarr
