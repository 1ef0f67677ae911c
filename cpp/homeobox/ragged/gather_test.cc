#include "homeobox/ragged/gather.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/io/memory_store.h"
#include "homeobox/io/testing/slow_store.h"
#include "homeobox/ragged/dense_gather.h"
#include "homeobox/ragged/sparse_group.h"
#include "homeobox/ragged/stored_order.h"
#include "homeobox/zarr/array_writer.h"

namespace hox::ragged {
namespace {

struct Entry {
  std::uint32_t column;
  double value;
  bool operator==(const Entry&) const = default;
};
using Row = std::vector<Entry>;

template <class T>
void write_array(const std::shared_ptr<Store>& store, const std::string& path, DataType dtype,
                 const std::vector<T>& values, std::vector<std::uint64_t> shape = {}) {
  if (shape.empty()) shape = {values.size()};
  zarr::ArrayOptions options;
  options.dtype = dtype;
  options.shape = shape;
  options.chunk_shape = shape;
  options.chunk_shape[0] = 256;
  options.shard_shape = options.chunk_shape;
  (*options.shard_shape)[0] = 1024;
  options.codecs = zarr::Json::parse(R"([{"name": "homeobox.bp128", "configuration": {"version": 1}}])");
  zarr::ArrayWriter writer(store, path, options);
  writer.append(std::as_bytes(std::span(values)), shape[0]);
  writer.finish();
}

// A group as an ingest writes it, and its rows in layout order.
struct TestGroup {
  std::string path;
  std::uint32_t n_features;
  std::vector<Row> rows;
  std::vector<std::int64_t> indptr = {0};
};

class GatherTest : public testing::Test {
 protected:
  void SetUp() override {
    const unsigned seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    random_.seed(seed);
  }

  template <class T>
  TestGroup make_group(const std::string& path, std::uint32_t n_features, std::size_t n_cells, DataType dtype) {
    TestGroup group{path, n_features, {}, {0}};
    std::vector<double> totals(n_features);
    for (std::size_t cell = 0; cell < n_cells; ++cell) {
      Row row;
      for (std::uint32_t feature = 0; feature < n_features; ++feature) {
        if (random_() % 3 != 0) continue;
        row.push_back({feature, static_cast<double>(1 + random_() % 9)});
        totals[feature] += row.back().value;
      }
      if (random_() % 8 == 0) row.clear();
      group.indptr.push_back(group.indptr.back() + static_cast<std::int64_t>(row.size()));
      group.rows.push_back(std::move(row));
    }
    const std::vector<std::uint32_t> order = feature_order(totals);
    const std::vector<std::uint32_t> stored_of_local = invert_order(order);
    std::vector<std::int32_t> indices;
    std::vector<T> values;
    for (const Row& row : group.rows)
      for (const Entry& entry : row) {
        indices.push_back(static_cast<std::int32_t>(entry.column));
        values.push_back(static_cast<T>(entry.value));
      }
    std::vector<std::uint32_t> stored(indices.size());
    std::vector<T> reordered(values.size());
    const LayerInput layer{{dtype, reinterpret_cast<const std::byte*>(values.data())},
                           reinterpret_cast<std::byte*>(reordered.data())};
    reorder_rows({group.indptr, {DataType::kInt32, reinterpret_cast<const std::byte*>(indices.data())}}, {&layer, 1},
                 n_features, stored_of_local, 0, n_cells, stored.data());
    write_array(store_, path + "/csr/indices", DataType::kUint32, stored);
    write_array(store_, path + "/csr/layers/counts", dtype, reordered);
    write_array(store_, path + "/csr/feature_order", DataType::kUint32, order);
    return group;
  }

  std::vector<Row> rows_of(const CsrMatrix& matrix) {
    std::vector<Row> rows(matrix.indptr.size() - 1);
    for (std::size_t cell = 0; cell < rows.size(); ++cell) {
      for (std::int64_t i = matrix.indptr[cell]; i < matrix.indptr[cell + 1]; ++i) {
        std::int32_t column;
        std::memcpy(&column, matrix.indices.data() + i * 4, sizeof column);
        double value = 0;
        if (matrix.dtype == DataType::kFloat64) {
          std::memcpy(&value, matrix.data.data() + i * 8, sizeof value);
        } else {
          float narrow;
          std::memcpy(&narrow, matrix.data.data() + i * 4, sizeof narrow);
          value = narrow;
        }
        rows[cell].push_back({static_cast<std::uint32_t>(column), value});
      }
    }
    return rows;
  }

  std::shared_ptr<Store> store_ = std::make_shared<MemoryStore>();
  std::mt19937 random_;
};

TEST_F(GatherTest, RowsOfTwoGroupsComeBackInTheOrderAskedWithTheirColumnsJoined) {
  const std::vector<TestGroup> groups = {make_group<float>("a", 90, 40, DataType::kFloat32),
                                         make_group<std::uint16_t>("b", 60, 30, DataType::kUint16)};
  const std::int64_t n_columns = 120;
  for (const bool views : {true, false}) {
    for (const bool drop : {false, true}) {
      const std::shared_ptr<const Store> store =
          views ? store_ : std::make_shared<SlowStore>(store_, std::chrono::nanoseconds(0));
      std::vector<std::vector<std::int32_t>> remaps;
      std::vector<GatherGroup> prepared;
      std::vector<std::unique_ptr<SparseGroup>> opened;
      for (const TestGroup& group : groups) {
        std::vector<std::int32_t> columns(n_columns);
        std::iota(columns.begin(), columns.end(), 0);
        std::shuffle(columns.begin(), columns.end(), random_);
        columns.resize(group.n_features);
        if (drop)
          for (auto& column : columns)
            if (random_() % 2 == 0) column = kAbsent;
        remaps.push_back(columns);
        opened.push_back(std::make_unique<SparseGroup>(store, group.path));
        prepared.push_back(opened.back()->prepare("csr/layers/counts", columns, n_columns));
      }
      std::vector<std::int32_t> group_of_cell;
      std::vector<std::int64_t> begins;
      std::vector<std::int64_t> ends;
      std::vector<Row> expected;
      for (int i = 0; i < 150; ++i) {
        const auto which = static_cast<std::int32_t>(random_() % 3) - 1;
        group_of_cell.push_back(which);
        expected.emplace_back();
        if (which == kNoGroup) {
          begins.push_back(0);
          ends.push_back(0);
          continue;
        }
        const TestGroup& group = groups[static_cast<std::size_t>(which)];
        const std::size_t row = random_() % group.rows.size();
        begins.push_back(group.indptr[row]);
        ends.push_back(group.indptr[row + 1]);
        for (const Entry& entry : group.rows[row]) {
          const std::int32_t column = remaps[static_cast<std::size_t>(which)][entry.column];
          if (column != kAbsent) expected.back().push_back({static_cast<std::uint32_t>(column), entry.value});
        }
        std::sort(expected.back().begin(), expected.back().end(),
                  [](const Entry& a, const Entry& b) { return a.column < b.column; });
      }
      const CellRanges cells{group_of_cell, begins, ends};
      EXPECT_EQ(rows_of(gather_csr(prepared, cells, DataType::kFloat32, RowOrder::kCanonical)), expected);
      EXPECT_EQ(rows_of(gather_csr(prepared, cells, DataType::kFloat64, RowOrder::kCanonical)), expected);
      auto unsorted = rows_of(gather_csr(prepared, cells, DataType::kFloat32, RowOrder::kStored));
      for (Row& row : unsorted)
        std::sort(row.begin(), row.end(), [](const Entry& a, const Entry& b) { return a.column < b.column; });
      EXPECT_EQ(unsorted, expected);
    }
  }
}

TEST_F(GatherTest, LyingPointersAndShortLayoutsAreRefused) {
  const TestGroup group = make_group<float>("a", 50, 20, DataType::kFloat32);
  const SparseGroup opened(store_, "a");
  std::vector<std::int32_t> columns(50);
  std::iota(columns.begin(), columns.end(), 0);
  const std::vector<GatherGroup> prepared = {opened.prepare("csr/layers/counts", columns, 50)};
  const std::vector<std::int32_t> cell = {0};
  const std::vector<std::int32_t> stranger = {1};
  const std::vector<std::int64_t> begin = {0};
  const std::vector<std::int64_t> negative = {-1};
  const std::vector<std::int64_t> end = {group.indptr.back()};
  const std::vector<std::int64_t> beyond = {group.indptr.back() + 1};
  EXPECT_THROW(gather_csr(prepared, {cell, begin, beyond}, DataType::kFloat32, RowOrder::kStored), OutOfRange);
  EXPECT_THROW(gather_csr(prepared, {cell, negative, end}, DataType::kFloat32, RowOrder::kStored), OutOfRange);
  EXPECT_THROW(gather_csr(prepared, {cell, end, begin}, DataType::kFloat32, RowOrder::kStored), OutOfRange);
  EXPECT_THROW(gather_csr(prepared, {stranger, begin, end}, DataType::kFloat32, RowOrder::kStored), OutOfRange);
  EXPECT_THROW(opened.prepare("csr/layers/counts", std::span(columns).first(49), 50), CorruptData);
  EXPECT_THROW(opened.prepare("csr/layers/counts", columns, 49), InvalidArgument);
  EXPECT_THROW(opened.layer("csr/layers/tpm"), NotFound);
  EXPECT_THROW(SparseGroup(store_, "nobody"), NotFound);
  const ColumnMap short_map({}, std::span(columns).first(10), 50);
  const std::vector<GatherGroup> too_few = {{zarr::Array::open(store_, "a/csr/indices"),
                                             zarr::Array::open(store_, "a/csr/layers/counts"),
                                             std::make_shared<ColumnMap>(short_map)}};
  EXPECT_THROW(gather_csr(too_few, {cell, begin, end}, DataType::kFloat32, RowOrder::kStored), CorruptData);
}

TEST_F(GatherTest, DenseRowsAreScatteredToTheirColumns) {
  std::vector<std::uint16_t> values(6 * 4);
  std::iota(values.begin(), values.end(), std::uint16_t{1});
  write_array(store_, "p/layers/counts", DataType::kUint16, values, {6, 4});
  const std::vector<std::int32_t> columns = {2, kAbsent, 0, 4};
  const DenseGroup group{zarr::Array::open(store_, "p/layers/counts"), columns};
  const std::vector<std::int32_t> group_of_cell = {0, kNoGroup, 0};
  const std::vector<std::int64_t> positions = {5, 0, 1};
  RawBuffer matrix = gather_dense({&group, 1}, group_of_cell, positions, 5);
  const std::vector<float> found(matrix.as<float>(), matrix.as<float>() + 15);
  EXPECT_EQ(found, (std::vector<float>{23, 0, 21, 0, 24, 0, 0, 0, 0, 0, 7, 0, 5, 0, 8}));
  const std::vector<std::int64_t> beyond = {6, 0, 1};
  EXPECT_THROW(gather_dense({&group, 1}, group_of_cell, beyond, 5), OutOfRange);
  EXPECT_THROW(gather_dense({&group, 1}, group_of_cell, positions, 4), InvalidArgument);
}

}  // namespace
}  // namespace hox::ragged
