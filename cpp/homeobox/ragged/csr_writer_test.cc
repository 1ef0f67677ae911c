#include "homeobox/ragged/csr_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "homeobox/base/error.h"
#include "homeobox/io/file_array.h"
#include "homeobox/io/file_store.h"
#include "homeobox/ragged/csr_summary.h"
#include "homeobox/zarr/array.h"

namespace hox::ragged {
namespace {

constexpr std::int64_t kFeatures = 300;

template <class T>
const std::byte* bytes_of(const std::vector<T>& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}

class CsrWriterTest : public testing::Test {
 protected:
  CsrWriterTest() {
    std::printf("seed %u\n", seed_);
    indptr_ = {0};
    for (int row = 0; row < 500; ++row) {
      const auto n = random_() % 90;
      for (unsigned i = 0; i < n; ++i) {  // unsorted, some of them repeated
        indices_.push_back(static_cast<std::int32_t>(random_() % kFeatures));
        counts_.push_back(static_cast<float>(1 + random_() % 20));
        logs_.push_back(std::log1p(static_cast<double>(counts_.back())));
      }
      indptr_.push_back(static_cast<std::int64_t>(indices_.size()));
    }
  }
  void SetUp() override { std::filesystem::remove_all(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  CsrWriter::Target target(std::string_view path, DataType dtype, std::uint64_t n) const {
    zarr::ArrayOptions options;
    options.dtype = dtype;
    options.shape = {n};
    options.chunk_shape = {256};
    options.shard_shape = std::vector<std::uint64_t>{1024};
    options.codecs = zarr::Json::parse(R"([{"name": "homeobox.bp128", "configuration": {"version": 1}}])");
    return {std::make_unique<zarr::ArrayWriter>(store_, path, options), element_bytes(dtype)};
  }
  CsrWriter writer(std::span<const std::uint32_t> order, std::uint64_t n) const {
    std::vector<CsrWriter::Target> layers;
    layers.push_back(target("counts", DataType::kFloat32, n));
    layers.push_back(target("logs", DataType::kFloat64, n));
    return CsrWriter(target("indices", DataType::kUint32, n), std::move(layers), kFeatures, order);
  }
  void append(CsrWriter& to, std::size_t first, std::size_t last) const {
    const std::array<EntryArray, 2> layers = {EntryArray{DataType::kFloat32, bytes_of(counts_)},
                                              EntryArray{DataType::kFloat64, bytes_of(logs_)}};
    to.append({std::span(indptr_).subspan(first, last - first + 1), {DataType::kInt32, bytes_of(indices_)}}, layers);
  }
  template <class T>
  std::vector<T> stored(std::string_view path) const {
    std::vector<T> values(indices_.size());
    const std::uint64_t begin = 0;
    const std::uint64_t end = values.size();
    zarr::Array::open(store_, path)->read({&begin, 1}, {&end, 1}, std::as_writable_bytes(std::span(values)));
    return values;
  }

  const unsigned seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  const std::string directory_ = testing::TempDir() + "hox_csr_writer_test";
  const std::shared_ptr<Store> store_ = std::make_shared<FileStore>(directory_);
  std::vector<std::int64_t> indptr_;
  std::vector<std::int32_t> indices_;
  std::vector<float> counts_;
  std::vector<double> logs_;
};

TEST_F(CsrWriterTest, BlocksOfAnySizeGiveTheRowsInStoredOrder) {
  std::vector<double> totals(kFeatures);
  for (std::size_t i = 0; i < indices_.size(); ++i) totals[static_cast<std::size_t>(indices_[i])] += counts_[i];
  const std::vector<std::uint32_t> order = feature_order(totals);
  const std::vector<std::uint32_t> stored_of_local = invert_order(order);
  CsrWriter to = writer(order, indices_.size());
  for (std::size_t row = 0; row < 500;) {
    const std::size_t last = std::min<std::size_t>(500, row + random_() % 120);
    append(to, row, last);
    row = last;
  }
  const auto objects = to.finish();
  EXPECT_EQ(objects.back().key, "indices/zarr.json");

  std::vector<std::uint32_t> columns(indices_.size());
  std::vector<float> counts(indices_.size());
  std::vector<double> logs(indices_.size());
  const std::array<LayerInput, 2> layers = {
      LayerInput{{DataType::kFloat32, bytes_of(counts_)}, reinterpret_cast<std::byte*>(counts.data())},
      LayerInput{{DataType::kFloat64, bytes_of(logs_)}, reinterpret_cast<std::byte*>(logs.data())}};
  reorder_rows({indptr_, {DataType::kInt32, bytes_of(indices_)}}, layers, kFeatures, stored_of_local, 0, 500,
               columns.data());
  EXPECT_EQ(stored<std::uint32_t>("indices"), columns);
  EXPECT_EQ(stored<float>("counts"), counts);
  EXPECT_EQ(stored<double>("logs"), logs);
}

TEST_F(CsrWriterTest, TooFewAndTooManyEntriesAreRefused) {
  CsrWriter more = writer({}, indices_.size() + 1);
  append(more, 0, 500);
  EXPECT_THROW(more.finish(), InvalidArgument);
  std::filesystem::remove_all(directory_);
  CsrWriter fewer = writer({}, indices_.size() - 1);
  EXPECT_THROW(
      {
        append(fewer, 0, 500);
        fewer.finish();
      },
      InvalidArgument);
}

TEST_F(CsrWriterTest, RefusesWrongFeaturesAndOrders) {
  const std::vector<std::uint32_t> twice(kFeatures, 3);
  EXPECT_THROW(writer(twice, 10), CorruptData);
  std::filesystem::remove_all(directory_);
  const std::vector<std::uint32_t> few = {1, 0};
  EXPECT_THROW(writer(few, 10), InvalidArgument);
  std::filesystem::remove_all(directory_);
  indices_[7] = kFeatures;
  CsrWriter to = writer({}, indices_.size());
  EXPECT_THROW(append(to, 0, 500), InvalidArgument);
}

TEST(CsrSummaryTest, TotalsAreThoseOfAPlainLoop) {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  std::vector<std::uint32_t> indices(100'000);
  std::vector<std::int16_t> values(indices.size());
  std::vector<double> totals(37);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    indices[i] = static_cast<std::uint32_t>(random() % totals.size());
    values[i] = static_cast<std::int16_t>(random() % 1000);
    totals[indices[i]] += values[i];
  }
  CsrSummary summary(37);
  const EntryArray features(DataType::kUint32, bytes_of(indices));
  const EntryArray counts(DataType::kInt16, bytes_of(values));
  summary.add(features, counts, 0, 99'000);
  summary.add(features, counts, 99'000, 100'000);
  EXPECT_EQ(std::vector<double>(summary.totals().begin(), summary.totals().end()), totals);
  EXPECT_EQ(summary.n_entries(), 100'000U);
  EXPECT_FALSE(summary.has_negative() || summary.has_fraction() || summary.has_nonfinite());
}

TEST(CsrSummaryTest, NotesWhatCannotBeACount) {
  const std::vector<std::int64_t> indices(1, 0);
  const auto noted = [&](auto value, DataType dtype) {
    const std::vector<decltype(value)> values(1, value);
    CsrSummary summary(1);
    summary.add({DataType::kInt64, bytes_of(indices)}, {dtype, bytes_of(values)}, 0, 1);
    return std::array{summary.has_negative(), summary.has_fraction(), summary.has_nonfinite()};
  };
  using Noted = std::array<bool, 3>;
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(noted(1.0, DataType::kFloat64), (Noted{false, false, false}));
  EXPECT_EQ(noted(-0.0, DataType::kFloat64), (Noted{false, false, false}));
  EXPECT_EQ(noted(0.5, DataType::kFloat64), (Noted{false, true, false}));
  EXPECT_EQ(noted(-2.0, DataType::kFloat64), (Noted{true, false, false}));
  EXPECT_EQ(noted(9007199254740993.0, DataType::kFloat64), (Noted{false, false, false}));
  EXPECT_EQ(noted(1e300, DataType::kFloat64), (Noted{false, false, false}));
  EXPECT_EQ(noted(infinity, DataType::kFloat64), (Noted{false, false, true}));
  EXPECT_EQ(noted(-infinity, DataType::kFloat64), (Noted{true, false, true}));
  EXPECT_EQ(noted(std::nan(""), DataType::kFloat64), (Noted{false, false, true}));
  EXPECT_EQ(noted(0.25F, DataType::kFloat32), (Noted{false, true, false}));
  EXPECT_EQ(noted(std::int8_t{-1}, DataType::kInt8), (Noted{true, false, false}));
  EXPECT_EQ(noted(std::numeric_limits<std::uint64_t>::max(), DataType::kUint64), (Noted{false, false, false}));
}

TEST(CsrSummaryTest, RefusesAFeatureThatIsNone) {
  const std::vector<std::int32_t> indices = {0, 4, -1};
  const std::vector<float> values(3, 1.0F);
  CsrSummary summary(5);
  const EntryArray features(DataType::kInt32, bytes_of(indices));
  const EntryArray counts(DataType::kFloat32, bytes_of(values));
  EXPECT_NO_THROW(summary.add(features, counts, 0, 2));
  EXPECT_THROW(summary.add(features, counts, 0, 3), InvalidArgument);
  EXPECT_THROW(CsrSummary(-1), InvalidArgument);
}

// The same entries in memory and in a file, enough for several pieces and slices.
class EntriesInAFile : public testing::Test {
 protected:
  static constexpr std::size_t kEntries = 600'000;
  static constexpr std::int64_t kRows = 300;
  static constexpr std::int64_t kColumns = 5000;

  void SetUp() override {
    for (std::size_t i = 0; i < kEntries; ++i) {
      indices_.push_back(static_cast<std::int32_t>(random_() % kColumns));
      values_.push_back(static_cast<double>(random_() % 100));
    }
    for (std::int64_t row = 0; row <= kRows; ++row)
      indptr_.push_back(row * static_cast<std::int64_t>(kEntries) / kRows);
    std::printf("seed %u\n", seed_);
  }
  void TearDown() override {
    if (descriptor_ >= 0) ::close(descriptor_);
    std::filesystem::remove(path_);
  }
  // Both arrays in one file, in chunks of which those of the values lie in reverse.
  void write() {
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(indices_.data()), kEntries * sizeof indices_[0]);
    for (std::size_t chunk = kEntries / kChunk; chunk-- > 0;)
      file.write(reinterpret_cast<const char*>(values_.data() + chunk * kChunk), kChunk * sizeof values_[0]);
    file.close();
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(descriptor_, 0);
  }
  FileArray file_of_indices() const {
    return {descriptor_, std::make_shared<const FileArray::Layout>(
                             FileArray::Layout{"indices", DataType::kInt32, kEntries, kEntries, {0}})};
  }
  FileArray file_of_values() const {
    FileArray::Layout layout{"values", DataType::kFloat64, kEntries, kChunk, {}};
    for (std::uint64_t at = kEntries; at > 0; at -= kChunk)
      layout.offsets.push_back(kEntries * sizeof indices_[0] + (at - kChunk) * sizeof values_[0]);
    return {descriptor_, std::make_shared<const FileArray::Layout>(std::move(layout))};
  }

  static constexpr std::size_t kChunk = 10'000;
  const unsigned seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  const std::string path_ = testing::TempDir() + "hox_entries_in_a_file_test";
  int descriptor_ = -1;
  std::vector<std::int64_t> indptr_;
  std::vector<std::int32_t> indices_;
  std::vector<double> values_;
};

TEST_F(EntriesInAFile, SumUpAndReorderAsInMemory) {
  write();
  const FileArray indices = file_of_indices();
  const FileArray values = file_of_values();
  const EntryArray memory_indices(DataType::kInt32, bytes_of(indices_));
  const EntryArray memory_values(DataType::kFloat64, bytes_of(values_));
  CsrSummary from_file(kColumns);
  CsrSummary from_memory(kColumns);
  for (const std::uint64_t begin : {0, 250'000}) {
    const std::uint64_t end = begin == 0 ? 250'000 : kEntries;
    from_file.add(EntryArray(indices), EntryArray(values), begin, end);
    from_memory.add(memory_indices, memory_values, begin, end);
  }
  EXPECT_TRUE(std::ranges::equal(from_file.totals(), from_memory.totals()));
  const std::vector<std::uint32_t> stored_of_local = invert_order(feature_order(from_file.totals()));

  std::array<std::vector<std::uint32_t>, 2> stored;
  std::array<std::vector<double>, 2> reordered;
  for (std::size_t i = 0; i < 2; ++i) {
    stored[i].resize(kEntries);
    reordered[i].resize(kEntries);
    const LayerInput layer{i == 0 ? EntryArray(values) : memory_values,
                           reinterpret_cast<std::byte*>(reordered[i].data())};
    const CsrInput input{indptr_, i == 0 ? EntryArray(indices) : memory_indices};
    reorder_rows(input, {&layer, 1}, kColumns, stored_of_local, 0, kRows, stored[i].data());
  }
  EXPECT_EQ(stored[0], stored[1]);
  EXPECT_EQ(reordered[0], reordered[1]);
}

TEST_F(EntriesInAFile, ABadFeatureIsNamedByItsPlaceWhereverItIs) {
  const std::size_t bad = 590'123;
  indices_[bad] = kColumns;
  write();
  const FileArray indices = file_of_indices();
  const FileArray values = file_of_values();
  CsrSummary summary(kColumns);
  summary.add(EntryArray(indices), EntryArray(values), 0, 100'000);
  try {
    summary.add(EntryArray(indices), EntryArray(values), 100'000, kEntries);
    FAIL() << "a feature outside the matrix was taken";
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(std::string(error.what()), "entry 590123 has feature 5000, outside [0, 5000)");
  }
}

}  // namespace
}  // namespace hox::ragged
