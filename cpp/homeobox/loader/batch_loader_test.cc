#include "homeobox/loader/batch_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>

#include "homeobox/base/error.h"
#include "homeobox/io/memory_store.h"
#include "homeobox/io/testing/intercepting_store.h"
#include "homeobox/io/testing/slow_store.h"
#include "homeobox/ragged/csr_writer.h"

namespace hox::loader {
namespace {

using ragged::kNoGroup;

constexpr std::int64_t kFeatures = 120;
constexpr std::uint32_t kCells = 700;
const std::vector<std::string> kGroups = {"a", "b"};

// Two groups of random rows, one with a stored order of its own, and cells that point into them or nowhere.
class BatchLoaderTest : public testing::Test {
 protected:
  BatchLoaderTest() {
    std::printf("seed %u\n", seed_);
    std::vector<std::vector<std::int64_t>> bounds(2, {0});
    std::vector<std::vector<std::int32_t>> features(2);
    std::vector<std::vector<float>> counts(2);
    for (std::uint32_t cell = 0; cell < kCells; ++cell) {
      const int group = static_cast<int>(random_() % 3) - 1;
      cells_.groups.push_back(group);
      rows_.emplace_back();
      if (group == kNoGroup) {
        cells_.begins.push_back(0);
        cells_.lengths.push_back(static_cast<std::uint32_t>(random_() % 9));  // means nothing without a group
        continue;
      }
      auto& of_group = features[static_cast<std::size_t>(group)];
      std::vector<std::int32_t> row(kFeatures);
      std::iota(row.begin(), row.end(), 0);
      std::shuffle(row.begin(), row.end(), random_);
      row.resize(random_() % 60);
      cells_.begins.push_back(static_cast<std::int64_t>(of_group.size()));
      cells_.lengths.push_back(static_cast<std::uint32_t>(row.size()));
      for (const std::int32_t feature : row) {
        of_group.push_back(feature);
        counts[static_cast<std::size_t>(group)].push_back(static_cast<float>(1 + random_() % 30));
        rows_.back().emplace_back(feature, counts[static_cast<std::size_t>(group)].back());
      }
      std::sort(rows_.back().begin(), rows_.back().end());
      bounds[static_cast<std::size_t>(group)].push_back(static_cast<std::int64_t>(of_group.size()));
    }
    for (std::size_t group = 0; group < 2; ++group) write_group(group, bounds[group], features[group], counts[group]);
  }

  void write_group(std::size_t group, const std::vector<std::int64_t>& bounds,
                   const std::vector<std::int32_t>& features, const std::vector<float>& counts) {
    std::vector<std::uint32_t> order(kFeatures);
    std::iota(order.begin(), order.end(), 0U);
    if (group == 1) std::shuffle(order.begin(), order.end(), random_);
    orders_.push_back(order);
    const auto target = [&](const std::string& name, DataType dtype) {
      zarr::ArrayOptions options;
      options.dtype = dtype;
      options.shape = {features.size()};
      options.chunk_shape = {512};
      options.shard_shape = std::vector<std::uint64_t>{2048};
      options.codecs = zarr::Json::parse(R"([{"name": "homeobox.bp128", "configuration": {"version": 1}}])");
      return ragged::CsrWriter::Target{
          std::make_unique<zarr::ArrayWriter>(store_, kGroups[group] + "/" + name, options), element_bytes(dtype)};
    };
    std::vector<ragged::CsrWriter::Target> layers;
    layers.push_back(target("counts", DataType::kFloat32));
    ragged::CsrWriter writer(target("indices", DataType::kUint32), std::move(layers), kFeatures, order);
    const ragged::EntryArray values(DataType::kFloat32, reinterpret_cast<const std::byte*>(counts.data()));
    writer.append({bounds, {DataType::kInt32, reinterpret_cast<const std::byte*>(features.data())}}, {&values, 1});
    writer.finish();
  }

  std::vector<ragged::GatherGroup> groups(const std::shared_ptr<Store>& store) const {
    std::vector<std::int32_t> identity(kFeatures);
    std::iota(identity.begin(), identity.end(), 0);
    std::vector<ragged::GatherGroup> opened;
    for (std::size_t group = 0; group < 2; ++group)
      opened.push_back({zarr::Array::open(store, kGroups[group] + "/indices"),
                        zarr::Array::open(store, kGroups[group] + "/counts"),
                        std::make_shared<const ragged::ColumnMap>(orders_[group], identity, kFeatures)});
    return opened;
  }
  BatchLoader loader(const LoaderOptions& options) const { return BatchLoader(groups(store_), cells_, options); }

  void expect_rows(const Batch& batch) const {
    ASSERT_EQ(batch.offsets.size(), batch.cells.size() + 1);
    const auto* const values = reinterpret_cast<const float*>(batch.values.data());
    for (std::size_t i = 0; i < batch.cells.size(); ++i) {
      std::vector<std::pair<std::int32_t, float>> row;
      for (auto at = static_cast<std::size_t>(batch.offsets[i]); at < static_cast<std::size_t>(batch.offsets[i + 1]);
           ++at)
        row.emplace_back(batch.indices[at], values[at]);
      std::sort(row.begin(), row.end());
      ASSERT_EQ(row, rows_[batch.cells[i]]) << "cell " << batch.cells[i];
    }
  }

  // The cells of the rest of the epoch, in order; checks every row.
  std::vector<std::uint32_t> drain(BatchLoader& loader) const {
    std::vector<std::uint32_t> seen;
    while (const auto batch = loader.next()) {
      expect_rows(*batch);
      seen.insert(seen.end(), batch->cells.begin(), batch->cells.end());
    }
    return seen;
  }

  const unsigned seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  const std::shared_ptr<Store> store_ = std::make_shared<MemoryStore>();
  CellPointers cells_;
  std::vector<std::vector<std::pair<std::int32_t, float>>> rows_;
  std::vector<std::vector<std::uint32_t>> orders_;
};

TEST_F(BatchLoaderTest, AnEpochHasEveryCellOnceAndEveryRowIsRight) {
  for (const bool views : {true, false}) {
    const std::shared_ptr<Store> store =
        views ? store_ : std::make_shared<SlowStore>(store_, std::chrono::microseconds(200));
    BatchLoader random(groups(store), cells_, {.batch_size = 64, .seed = 5});
    EXPECT_EQ(random.n_batches(), (kCells + 63) / 64);
    std::vector<std::uint32_t> first = drain(random);
    EXPECT_EQ(random.next(), nullptr);
    random.restart(1);
    const std::vector<std::uint32_t> second = drain(random);
    EXPECT_NE(first, second);
    random.restart(0);
    EXPECT_EQ(drain(random), first);
    std::sort(first.begin(), first.end());
    std::vector<std::uint32_t> all(kCells);
    std::iota(all.begin(), all.end(), 0U);
    EXPECT_EQ(first, all);
  }
}

TEST_F(BatchLoaderTest, WithoutShuffleTheOrderIsThatOfTheCellsAndARestIsDropped) {
  BatchLoader ordered = loader({.batch_size = 64, .shuffle = false, .drop_last = true});
  const std::vector<std::uint32_t> seen = drain(ordered);
  EXPECT_EQ(seen.size(), kCells / 64 * 64);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_F(BatchLoaderTest, ABudgetOfNothingStillGivesBatchesAndThoseThatAreKeptStayAsTheyAre) {
  std::vector<std::shared_ptr<const Batch>> kept;
  {
    BatchLoader small = loader({.batch_size = 32, .memory_bytes = 1});
    while (const auto batch = small.next()) kept.push_back(batch);
  }
  EXPECT_EQ(kept.size(), (kCells + 31) / 32);
  for (const auto& batch : kept) expect_rows(*batch);
}

// Requests for ranges wait until the gate is opened.
class GatedStore final : public InterceptingStore {
 public:
  using InterceptingStore::InterceptingStore;
  void open(bool is_open) {
    const std::lock_guard lock(mutex_);
    open_ = is_open;
    changed_.notify_all();
  }
  void await_request() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return n_waiting_ != 0; });
  }

 private:
  void before_request(const char* action, std::string_view, const std::stop_token&) const override {
    if (std::string_view(action) != "read_ranges") return;
    std::unique_lock lock(mutex_);
    ++n_waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --n_waiting_;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::size_t n_waiting_ = 0;
  bool open_ = false;
};

TEST_F(BatchLoaderTest, TheFirstFetchGoesAloneAndTheNextOnesAreCounted) {
  const auto gated = std::make_shared<GatedStore>(store_);
  BatchLoader over(groups(gated), cells_, {.batch_size = 32});
  std::shared_ptr<const Batch> first;
  std::thread consumer([&] { first = over.next(); });
  gated->await_request();
  const std::uint64_t alone = over.bytes_in_use();
  gated->open(true);
  consumer.join();
  ASSERT_NE(first, nullptr);
  const std::uint64_t arrays = first->offsets.size_bytes() + first->indices.size_bytes() + first->values.size();
  EXPECT_GE(alone, arrays);
  EXPECT_LT(alone, 2 * arrays + 10'000) << "the arrays of one batch, with room to spare";

  // As many batches as may be in flight are, each with what it is expected to fetch.
  gated->open(false);
  over.restart(1);
  std::thread waiting([&] { first = over.next(); });
  gated->await_request();
  while (over.bytes_in_use() < 2 * alone) std::this_thread::yield();
  gated->open(true);
  waiting.join();
  EXPECT_EQ(first->cells.size() + drain(over).size(), kCells);
}

TEST_F(BatchLoaderTest, AnyBudgetGivesEveryCellFromAStoreThatIsFetchedFrom) {
  const auto slow = std::make_shared<SlowStore>(store_, std::chrono::microseconds(200));
  for (const std::uint64_t budget : {std::uint64_t{1}, std::uint64_t{40'000}, std::uint64_t{1} << 30}) {
    BatchLoader over(groups(slow), cells_, {.batch_size = 32, .memory_bytes = budget});
    EXPECT_EQ(drain(over).size(), kCells);
  }
}

TEST_F(BatchLoaderTest, AnEpochMayBeLeftAtAnyBatch) {
  BatchLoader left = loader({.batch_size = 16});
  for (std::uint64_t epoch = 0; epoch < 20; ++epoch) {
    left.restart(epoch);
    for (auto i = random_() % 5; i > 0; --i) expect_rows(*left.next());
  }
}

TEST_F(BatchLoaderTest, DamageEndsTheEpochAndNamesTheArray) {
  const auto shard = store_->read("b/counts/c/0");
  ASSERT_TRUE(shard.has_value());
  std::vector<std::byte> damaged(shard->bytes().begin(), shard->bytes().end());
  for (std::size_t at = 100; at < 300; ++at) damaged[at] ^= std::byte{0xff};
  store_->write("b/counts/c/0", damaged);
  BatchLoader over = loader({.batch_size = 128});
  try {
    drain(over);
    FAIL() << "damaged bytes were not noticed";
  } catch (const CorruptData& error) {
    EXPECT_NE(std::string(error.what()).find("b/counts"), std::string::npos) << error.what();
  }
  EXPECT_EQ(over.next(), nullptr);
}

TEST_F(BatchLoaderTest, RefusesCellsThatLeaveTheirGroupAndMapsThatDropFeatures) {
  CellPointers beyond = cells_;
  beyond.groups[3] = 0;
  beyond.begins[3] = std::int64_t{1} << 40;
  EXPECT_THROW(BatchLoader(groups(store_), beyond, {}), OutOfRange);
  beyond.begins[3] = std::numeric_limits<std::int64_t>::max();
  beyond.lengths[3] = 5;
  EXPECT_THROW(BatchLoader(groups(store_), beyond, {}), OutOfRange);
  CellPointers uneven = cells_;
  uneven.lengths.pop_back();
  EXPECT_THROW(BatchLoader(groups(store_), uneven, {}), InvalidArgument);

  std::vector<ragged::GatherGroup> dropping = groups(store_);
  std::vector<std::int32_t> some(kFeatures, ragged::kAbsent);
  dropping[0].columns = std::make_shared<const ragged::ColumnMap>(orders_[0], some, kFeatures);
  EXPECT_THROW(BatchLoader(dropping, cells_, {}), InvalidArgument);
  std::vector<ragged::GatherGroup> mixed = groups(store_);
  mixed[0].values = mixed[1].values;  // of another length
  EXPECT_THROW(BatchLoader(mixed, cells_, {}), CorruptData);
  EXPECT_THROW(loader({.batch_size = 0}), InvalidArgument);
}

TEST_F(BatchLoaderTest, ASecondThreadIsRefusedWhileOneTakesABatch) {
  const auto slow = std::make_shared<SlowStore>(store_, std::chrono::milliseconds(2));
  BatchLoader shared(groups(slow), cells_, {.batch_size = 8});
  std::atomic<int> refused = 0;
  std::atomic<std::size_t> taken = 0;
  const auto take = [&] {
    for (int i = 0; i < 20; ++i) {
      try {
        if (const auto batch = shared.next()) taken += batch->cells.size();
      } catch (const InvalidArgument&) {
        ++refused;
      }
    }
  };
  std::thread other(take);
  take();
  other.join();
  EXPECT_EQ(taken + drain(shared).size(), kCells);  // whoever was refused took nothing away
}

}  // namespace
}  // namespace hox::loader
