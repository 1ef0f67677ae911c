#include "homeobox/ragged/csr_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <random>

#include "homeobox/base/error.h"
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

}  // namespace
}  // namespace hox::ragged
