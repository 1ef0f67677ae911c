#include "homeobox/ragged/transpose.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/io/memory_store.h"
#include "homeobox/io/testing/failing_store.h"
#include "homeobox/zarr/array.h"
#include "homeobox/zarr/array_writer.h"

namespace hox::ragged {
namespace {

const char* const kBp128 = R"([{"name": "homeobox.bp128", "configuration": {"version": 1}}])";
const char* const kBytes = R"([{"name": "bytes", "configuration": {"endian": "little"}}])";
// As homeobox 0.2.2 writes indices.
const char* const kBitpacking = R"([{"name": "bytes", "configuration": {"endian": "little"}},
    {"name": "homeobox.bitpacking", "configuration": {"transform": "delta", "element_size": 4}}])";

// Values of one layer, whatever their type, as bytes.
struct Layer {
  DataType dtype;
  std::vector<std::byte> bytes;
};

struct Matrix {
  std::uint32_t n_features = 0;
  std::vector<std::int64_t> row_bounds = {0};
  std::vector<std::uint32_t> features;  // in layout order
  std::vector<std::uint32_t> order;     // empty: stored as they are
  std::vector<Layer> layers;
};

template <class T>
std::vector<T> read_all(const std::shared_ptr<Store>& store, const std::string& path) {
  const auto array = zarr::Array::open(store, path);
  EXPECT_EQ(element_bytes(array->metadata().dtype), sizeof(T));
  std::vector<T> values(array->metadata().shape[0]);
  const std::uint64_t begin = 0;
  const std::uint64_t end = values.size();
  array->read({&begin, 1}, {&end, 1}, std::as_writable_bytes(std::span(values)));
  return values;
}

std::string layer_name(std::size_t i) { return "l" + std::to_string(i); }

NewArray new_array(const std::string& path, const char* codecs = kBp128) {
  return {path, 512, 2048, zarr::Json::parse(codecs)};
}

class TransposeTest : public testing::Test {
 protected:
  void SetUp() override {
    const unsigned seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    random_.seed(seed);
  }

  std::uint32_t below(std::uint32_t end) { return std::uniform_int_distribution<std::uint32_t>(0, end - 1)(random_); }

  // Counts, mostly small ones, as the type of the layer. `wild` adds values that are not narrow.
  template <class T>
  Layer make_layer(DataType dtype, std::size_t n, bool wild) {
    std::vector<T> values(n);
    for (T& value : values) {
      value = static_cast<T>(below(5) == 0 ? below(1000) : below(4));
      if (!wild || below(20) != 0) continue;
      if constexpr (std::is_floating_point_v<T>)
        value = std::array<T, 4>{T(-0.0), T(0.5), std::numeric_limits<T>::infinity(), T(-3)}[below(4)];
      else
        value = static_cast<T>(random_());
    }
    const auto bytes = std::as_bytes(std::span(values));
    return {dtype, {bytes.begin(), bytes.end()}};
  }

  Matrix make_matrix(std::size_t n_cells, std::uint32_t n_features, std::uint32_t longest_row) {
    Matrix matrix;
    matrix.n_features = n_features;
    for (std::size_t row = 0; row < n_cells; ++row) {
      const std::uint32_t n = below(3) == 0 ? 0 : below(longest_row + 1);
      // Squared: some features are in most cells, many in none. Repeats stay.
      for (std::uint32_t i = 0; i < n; ++i) {
        const std::uint64_t square = std::uint64_t{below(n_features)} * below(n_features);
        matrix.features.push_back(static_cast<std::uint32_t>(square / n_features));
      }
      matrix.row_bounds.push_back(static_cast<std::int64_t>(matrix.features.size()));
    }
    if (below(2) == 0) {
      matrix.order.resize(n_features);
      std::iota(matrix.order.begin(), matrix.order.end(), 0U);
      std::shuffle(matrix.order.begin(), matrix.order.end(), random_);
    }
    return matrix;
  }

  void write(const std::string& path, DataType dtype, std::span<const std::byte> bytes, const char* codecs) {
    zarr::ArrayOptions options;
    options.dtype = dtype;
    options.shape = {bytes.size() / element_bytes(dtype)};
    options.chunk_shape = {256};
    options.shard_shape = {{1024}};
    options.codecs = zarr::Json::parse(codecs);
    zarr::ArrayWriter writer(store_, path, options);
    writer.append(bytes, options.shape[0]);
    writer.finish();
  }

  void write(const Matrix& matrix, const char* codecs = kBp128) {
    std::vector<std::uint32_t> stored_of_local(matrix.n_features);
    for (std::uint32_t stored = 0; stored < matrix.n_features; ++stored)
      stored_of_local[matrix.order.empty() ? stored : matrix.order[stored]] = stored;
    std::vector<std::uint32_t> indices(matrix.features.size());
    for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = stored_of_local[matrix.features[i]];
    write("g/csr/indices", DataType::kUint32, std::as_bytes(std::span(indices)), codecs);
    if (!matrix.order.empty())
      write("g/csr/feature_order", DataType::kUint32, std::as_bytes(std::span(matrix.order)), kBp128);
    for (std::size_t i = 0; i < matrix.layers.size(); ++i)
      write("g/csr/layers/" + layer_name(i), matrix.layers[i].dtype, matrix.layers[i].bytes, kBp128);
  }

  TransposeJob job_for(const Matrix& matrix) const {
    TransposeJob job;
    job.store = store_;
    job.group = "g";
    job.row_bounds = matrix.row_bounds;
    job.n_features = matrix.n_features;
    for (std::size_t i = 0; i < matrix.layers.size(); ++i)
      job.layers.push_back({"csr/layers/" + layer_name(i), new_array("csc/layers/" + layer_name(i))});
    job.rows = new_array("csc/indices");
    job.feature_bounds = new_array("csc/indptr");
    job.scratch_directory = testing::TempDir();
    return job;
  }

  // The plain transposition: a stable sort of the entries by feature.
  void expect_transposed(const Matrix& matrix) {
    std::vector<std::size_t> entries(matrix.features.size());
    std::iota(entries.begin(), entries.end(), std::size_t{0});
    std::stable_sort(entries.begin(), entries.end(),
                     [&](std::size_t a, std::size_t b) { return matrix.features[a] < matrix.features[b]; });
    std::vector<std::int64_t> bounds(matrix.n_features + 1);
    std::vector<std::uint32_t> rows;
    for (const std::size_t entry : entries) {
      const auto& row_bounds = matrix.row_bounds;
      const auto after = std::upper_bound(row_bounds.begin(), row_bounds.end(), static_cast<std::int64_t>(entry));
      rows.push_back(static_cast<std::uint32_t>(after - row_bounds.begin() - 1));
      ++bounds[matrix.features[entry] + 1];
    }
    std::partial_sum(bounds.begin(), bounds.end(), bounds.begin());
    EXPECT_EQ(read_all<std::int64_t>(store_, "g/csc/indptr"), bounds);
    EXPECT_EQ(read_all<std::uint32_t>(store_, "g/csc/indices"), rows);
    for (std::size_t i = 0; i < matrix.layers.size(); ++i) {
      const std::size_t width = element_bytes(matrix.layers[i].dtype);
      std::vector<std::byte> expected;
      for (const std::size_t entry : entries) {
        const std::byte* const value = matrix.layers[i].bytes.data() + entry * width;
        expected.insert(expected.end(), value, value + width);
      }
      const auto array = zarr::Array::open(store_, "g/csc/layers/" + layer_name(i));
      EXPECT_EQ(array->metadata().dtype, matrix.layers[i].dtype);
      std::vector<std::byte> found(expected.size());
      const std::uint64_t begin = 0;
      const std::uint64_t end = entries.size();
      array->read({&begin, 1}, {&end, 1}, found);
      EXPECT_EQ(found, expected) << layer_name(i);
    }
  }

  void start_again() { store_ = std::make_shared<MemoryStore>(); }

  std::mt19937 random_;
  std::shared_ptr<Store> store_ = std::make_shared<MemoryStore>();
};

TEST_F(TransposeTest, EqualsAStableSortForAnyShapeAndMemory) {
  for (int round = 0; round < 60; ++round) {
    start_again();
    Matrix matrix = make_matrix(1 + below(3000), 1 + below(round % 3 == 0 ? 5 : 400), 1 + below(60));
    const std::size_t n = matrix.features.size();
    const bool wild = below(2) == 0;
    matrix.layers.push_back(make_layer<float>(DataType::kFloat32, n, wild));
    if (round % 2 == 0) {
      matrix.layers.push_back(make_layer<std::uint16_t>(DataType::kUint16, n, wild));
      matrix.layers.push_back(make_layer<std::int64_t>(DataType::kInt64, n, wild));
    }
    write(matrix, round % 4 == 0 ? kBitpacking : kBp128);
    TransposeJob job = job_for(matrix);
    // From everything at once down to many runs of 1,024 entries, all of them in the scratch file.
    job.memory_bytes = std::uint64_t{1} << (below(2) == 0 ? 28 : 10 + below(12));
    std::uint64_t n_done = 0;
    job.on_progress = [&](std::uint64_t now) {
      EXPECT_GE(now, n_done);
      n_done = now;
    };
    const auto objects = transpose_csr(job);
    EXPECT_EQ(n_done, 2 * n);
    EXPECT_EQ(objects.back().key, "g/csc/indptr/zarr.json");
    expect_transposed(matrix);
  }
}

TEST_F(TransposeTest, EveryDtypeKeepsItsBits) {
  Matrix matrix = make_matrix(3000, 50, 40);
  const std::size_t n = matrix.features.size();
  for (const bool wild : {false, true}) {
    matrix.layers.push_back(make_layer<std::uint8_t>(DataType::kBool, n, false));
    for (std::byte& value : matrix.layers.back().bytes) value &= std::byte{1};
    matrix.layers.push_back(make_layer<std::int8_t>(DataType::kInt8, n, wild));
    matrix.layers.push_back(make_layer<std::int16_t>(DataType::kInt16, n, wild));
    matrix.layers.push_back(make_layer<std::int32_t>(DataType::kInt32, n, wild));
    matrix.layers.push_back(make_layer<std::uint32_t>(DataType::kUint32, n, wild));
    matrix.layers.push_back(make_layer<std::uint64_t>(DataType::kUint64, n, wild));
    matrix.layers.push_back(make_layer<std::uint16_t>(DataType::kFloat16, n, wild));
    matrix.layers.push_back(make_layer<double>(DataType::kFloat64, n, wild));
  }
  write(matrix);
  TransposeJob job = job_for(matrix);
  job.memory_bytes = 1 << 16;
  transpose_csr(job);
  expect_transposed(matrix);
}

TEST_F(TransposeTest, EmptyMatrixHasEmptyArrays) {
  Matrix matrix;
  matrix.n_features = 3;
  matrix.row_bounds = {0, 0, 0};
  matrix.layers.push_back({DataType::kFloat32, {}});
  write(matrix);
  transpose_csr(job_for(matrix));
  expect_transposed(matrix);
}

// One feature of 70,000 entries: more than a range, and more cells than one run can count.
TEST_F(TransposeTest, OneFeatureMayBeLargerThanARange) {
  Matrix matrix;
  matrix.n_features = 2;
  for (std::uint32_t cell = 0; cell < 140'000; ++cell) {
    if (cell % 2 == 0) matrix.features.push_back(cell == 70'000 ? 0 : 1);
    matrix.row_bounds.push_back(static_cast<std::int64_t>(matrix.features.size()));
  }
  matrix.layers.push_back(make_layer<std::int32_t>(DataType::kInt32, matrix.features.size(), false));
  write(matrix);
  for (const std::uint64_t memory : {std::uint64_t{1} << 15, std::uint64_t{1} << 28}) {
    TransposeJob job = job_for(matrix);
    job.memory_bytes = memory;
    transpose_csr(job);
    expect_transposed(matrix);
    for (const ObjectInfo& object : store_->list("g/csc/")) store_->remove(object.key);
  }
}

TEST_F(TransposeTest, LayersCanBeAddedLater) {
  Matrix matrix = make_matrix(500, 40, 30);
  matrix.layers.push_back(make_layer<float>(DataType::kFloat32, matrix.features.size(), true));
  matrix.layers.push_back(make_layer<float>(DataType::kFloat32, matrix.features.size(), false));
  write(matrix);
  TransposeJob first = job_for(matrix);
  first.layers.pop_back();
  transpose_csr(first);
  TransposeJob second = job_for(matrix);
  EXPECT_THROW(transpose_csr(second), Conflict);
  second.layers.erase(second.layers.begin());
  second.rows.reset();
  EXPECT_THROW(transpose_csr(second), InvalidArgument);
  auto bounds = read_all<std::int64_t>(store_, "g/csc/indptr");
  ++bounds[1];
  second.known_bounds = bounds;
  EXPECT_THROW(transpose_csr(second), CorruptData);
  --bounds[1];
  transpose_csr(second);
  expect_transposed(matrix);
}

TEST_F(TransposeTest, WrongInputIsRefusedBeforeAnythingIsWritten) {
  Matrix matrix = make_matrix(200, 40, 30);
  matrix.layers.push_back(make_layer<float>(DataType::kFloat32, matrix.features.size(), false));
  write(matrix);
  const std::size_t n_objects = store_->list("").size();
  const auto n = static_cast<std::int64_t>(matrix.features.size());
  const auto refused_bounds = [&](std::vector<std::int64_t> bounds) {
    TransposeJob job = job_for(matrix);
    job.row_bounds = bounds;
    transpose_csr(job);
  };
  EXPECT_THROW(refused_bounds({}), InvalidArgument);
  EXPECT_THROW(refused_bounds({1, n}), InvalidArgument);
  EXPECT_THROW(refused_bounds({0, n, n - 1, n}), InvalidArgument);
  EXPECT_THROW(refused_bounds({0, n - 1}), OutOfRange);
  EXPECT_THROW(refused_bounds({0, n + 1}), OutOfRange);
  TransposeJob job = job_for(matrix);
  job.n_features = *std::max_element(matrix.features.begin(), matrix.features.end());
  EXPECT_THROW(transpose_csr(job), CorruptData);
  job = job_for(matrix);
  job.layers[0].source = "csr/layers/nobody";
  EXPECT_THROW(transpose_csr(job), NotFound);
  job = job_for(matrix);
  write("g/csr/layers/short", DataType::kUint32, std::as_bytes(std::span(matrix.features)).first(40), kBytes);
  job.layers[0].source = "csr/layers/short";
  EXPECT_THROW(transpose_csr(job), CorruptData);
  for (const ObjectInfo& object : store_->list("g/csr/layers/short")) store_->remove(object.key);
  job = job_for(matrix);
  job.memory_bytes = 1 << 10;
  job.scratch_directory = testing::TempDir() + "/nowhere";
  EXPECT_THROW(transpose_csr(job), StoreError);
  EXPECT_EQ(store_->list("").size(), n_objects);
}

TEST_F(TransposeTest, StopsWhenAsked) {
  Matrix matrix = make_matrix(3000, 40, 30);
  matrix.layers.push_back(make_layer<float>(DataType::kFloat32, matrix.features.size(), false));
  write(matrix);
  for (const std::uint64_t stop_at : {std::uint64_t{1}, matrix.features.size() + 1}) {
    std::stop_source stop;
    TransposeJob job = job_for(matrix);
    job.memory_bytes = 1 << 12;
    job.stop = stop.get_token();
    job.on_progress = [&](std::uint64_t n_done) {
      if (n_done >= stop_at) stop.request_stop();
    };
    EXPECT_THROW(transpose_csr(job), Cancelled);
    EXPECT_FALSE(store_->size("g/csc/indptr/zarr.json"));
  }
}

TEST_F(TransposeTest, AFailingStoreIsReportedAndLeavesNoBounds) {
  Matrix matrix = make_matrix(1000, 40, 30);
  matrix.layers.push_back(make_layer<float>(DataType::kFloat32, matrix.features.size(), false));
  write(matrix);
  std::uint64_t n_failures = 0;
  for (;; ++n_failures) {
    TransposeJob job = job_for(matrix);
    job.memory_bytes = 1 << 14;
    job.store = std::make_shared<FailingStore>(store_, n_failures + 1);
    try {
      transpose_csr(job);
      break;
    } catch (const StoreError&) {
      EXPECT_FALSE(store_->size("g/csc/indptr/zarr.json"));
      for (const ObjectInfo& object : store_->list("g/csc/")) store_->remove(object.key);
    }
  }
  EXPECT_GT(n_failures, 20U);
  expect_transposed(matrix);
}

}  // namespace
}  // namespace hox::ragged
