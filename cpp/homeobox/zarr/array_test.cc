// What only C++ callers see of Array: chunks before decoding. The rest is tested through Python, against zarr-python.

#include "homeobox/zarr/array.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "homeobox/base/error.h"
#include "homeobox/io/mapped_file.h"
#include "homeobox/io/memory_store.h"
#include "homeobox/io/testing/counting_store.h"
#include "homeobox/zarr/array_writer.h"

namespace hox::zarr {
namespace {

// 100 elements 0, 1, 2, ...; chunk 0 to 12 of 8, shards of 32; elements 40 to 56 are zero, so chunks 5 and 6 are
// absent.
std::shared_ptr<MemoryStore> make_store(bool sharded) {
  auto store = std::make_shared<MemoryStore>();
  std::vector<std::uint32_t> values(100);
  std::iota(values.begin(), values.end(), 0U);
  std::fill(values.begin() + 40, values.begin() + 56, 0U);
  ArrayOptions options;
  options.dtype = DataType::kUint32;
  options.shape = {100};
  options.chunk_shape = {8};
  if (sharded) options.shard_shape = std::vector<std::uint64_t>{32};
  options.codecs = Json::array({"bytes"});
  ArrayWriter writer(store, "a", options);
  writer.append(std::as_bytes(std::span(values)), values.size());
  writer.finish();
  return store;
}

std::vector<std::uint32_t> decode(const Array& array, std::span<const std::byte> encoded) {
  std::vector<std::uint32_t> values(array.chunk_elements());
  codec::Scratch scratch;
  array.chain().decode(encoded, std::as_writable_bytes(std::span(values)), scratch);
  return values;
}

class ChunksOfArray : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Sharding, ChunksOfArray, testing::Bool());

TEST_P(ChunksOfArray, ViewsAndFetchesAgree) {
  const auto store = make_store(GetParam());
  const auto array = Array::open(store, "a");
  const auto remote = Array::open(std::make_shared<CountingStore>(store), "a");
  EXPECT_EQ(array->has_views(), GetParam()) << "a view per unsharded chunk would exhaust a process's mappings";
  ASSERT_FALSE(remote->has_views());
  const std::vector<std::uint64_t> chunks = {0, 1, 5, 6, 7, 12};
  const std::vector<EncodedChunk> viewed = array->fetch_chunks(chunks).chunks;
  const std::vector<EncodedChunk> fetched = remote->fetch_chunks(chunks).chunks;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    EXPECT_EQ(fetched[i].present, chunks[i] != 5 && chunks[i] != 6);
    EXPECT_EQ(viewed[i].present, fetched[i].present);
    if (!fetched[i].present) continue;
    EXPECT_EQ(decode(*array, fetched[i].bytes.bytes())[3], chunks[i] * 8 + 3 < 100 ? chunks[i] * 8 + 3 : 0);
    EXPECT_TRUE(std::ranges::equal(viewed[i].bytes.bytes(), fetched[i].bytes.bytes()));
  }
  for (std::size_t i = 0; array->has_views() && i < chunks.size(); ++i) {
    const ChunkView view = array->view_chunk(chunks[i]);
    EXPECT_EQ(view.present, fetched[i].present);
    EXPECT_TRUE(std::ranges::equal(view.bytes, fetched[i].bytes.bytes()));
  }
}

TEST(Array, ViewsOutliveTheirObjects) {
  const auto store = make_store(true);
  const auto array = Array::open(store, "a");
  const ChunkView view = array->view_chunk(0);
  for (const ObjectInfo& object : store->list("")) store->remove(object.key);
  EXPECT_EQ(decode(*array, view.bytes)[7], 7U);
}

TEST(Array, ManyThreadsViewColdShards) {
  const auto array = Array::open(make_store(true), "a");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (std::uint64_t chunk = 0; chunk < array->n_chunks(); ++chunk) {
        const ChunkView view = array->view_chunk(chunk);
        if (!view.present) continue;
        EXPECT_EQ(decode(*array, view.bytes)[0], chunk * 8);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Array, ChunksBeyondTheEndAreOutOfRange) {
  const auto array = Array::open(make_store(true), "a");
  EXPECT_EQ(array->n_chunks(), 13U);
  EXPECT_THROW(array->view_chunk(13), OutOfRange);
  const std::uint64_t beyond = 13;
  EXPECT_THROW(array->fetch_chunks(std::span(&beyond, 1)), OutOfRange);
}

TEST(ArrayWriter, OneOfTwoThatWriteTheSameArrayFinishes) {
  const auto store = std::make_shared<MemoryStore>();
  ArrayOptions options;
  options.dtype = DataType::kUint8;
  options.shape = {4};
  options.chunk_shape = {4};
  options.codecs = Json::array({"bytes"});
  ArrayWriter first(store, "a", options);
  options.attributes = {{"of", "the second"}};
  ArrayWriter second(store, "a", options);
  const std::vector<std::byte> rows(4, std::byte{1});
  first.append(rows, 4);
  second.append(rows, 4);
  first.finish();
  EXPECT_THROW(second.finish(), Conflict);
  EXPECT_EQ(Array::open(store, "a")->metadata().attributes.size(), 0U);
}

TEST(Array, ContextIsAddedToCorruptDataOnly) {
  const auto array = Array::open(make_store(true), "a");
  const auto rethrown = [&](const auto& error) -> std::string {
    try {
      try {
        throw error;
      } catch (...) {
        array->rethrow_with_context(9);
      }
    } catch (const Error& caught) {
      return caught.what();
    }
  };
  EXPECT_EQ(rethrown(CorruptData("bad")), "array a, shard a/c/2, chunk 9: bad");
  EXPECT_EQ(rethrown(StoreError("gone")), "gone");
}

TEST(Array, AStoppedReadIsCancelled) {
  const auto array = Array::open(std::make_shared<CountingStore>(make_store(true)), "a");
  std::stop_source source;
  source.request_stop();
  const std::vector<std::uint64_t> begin = {0};
  const std::vector<std::uint64_t> end = {100};
  std::vector<std::byte> out(400);
  EXPECT_THROW(array->read(begin, end, out, {.stop = source.get_token()}), Cancelled);
}

TEST(Array, AShardThatIsMissingIsFillValuesOnlyWhileTheArrayIsThere) {
  for (const bool views : {true, false}) {
    const auto store = make_store(true);
    const std::shared_ptr<Store> seen = views ? std::shared_ptr<Store>(store) : std::make_shared<CountingStore>(store);
    store->remove("a/c/0");
    const auto read = [](const Array& array, std::uint64_t begin, std::uint64_t end) {
      std::vector<std::uint32_t> values(end - begin);
      array.read({&begin, 1}, {&end, 1}, std::as_writable_bytes(std::span(values)));
      return values;
    };
    const auto array = Array::open(seen, "a");
    EXPECT_EQ(read(*array, 30, 34), (std::vector<std::uint32_t>{0, 0, 32, 33}));
    store->remove("a/zarr.json");
    store->remove("a/c/3");
    EXPECT_EQ(read(*array, 64, 66), (std::vector<std::uint32_t>{64, 65})) << "what is still there may be read";
    EXPECT_THROW(read(*array, 96, 100), NotFound);
  }
}

TEST(Array, HasViewsOnlyWhileMappingsAreLeft) {
  const auto store = make_store(true);
  const auto text = store->read("a/zarr.json");
  ASSERT_TRUE(text.has_value());
  Json metadata = Json::parse(std::string(reinterpret_cast<const char*>(text->data()), text->size()));
  const auto open = [&](const std::string& path, std::uint64_t n_shards) {
    metadata["shape"] = {32 * n_shards};
    const std::string document = metadata.dump();
    store->write(path + "/zarr.json", std::as_bytes(std::span(document)));
    return Array::open(store, path);
  };
  EXPECT_FALSE(open("too_many", MappingQuota::kMappings + 1)->has_views());
  {
    const auto most = open("most", MappingQuota::kMappings - 10);
    EXPECT_TRUE(most->has_views());
    EXPECT_FALSE(open("some", 11)->has_views());
    EXPECT_TRUE(open("few", 10)->has_views());
  }
  EXPECT_TRUE(open("some", 11)->has_views());
}

}  // namespace
}  // namespace hox::zarr
