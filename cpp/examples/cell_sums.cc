// Reads one sparse group of an atlas without Python: gathers random cells and prints their total counts.
//
//   cell_sums ZARR_STORE GROUP [N_CELLS] [LAYER]
//   cell_sums hox_example_atlas/zarr_store pbmc3k 100 counts
//
// The tables of an atlas are Lance, which this library does not read. A group stands on its own: csr/indptr says where
// each cell's elements lie. Prints "row<TAB>total" lines; the same arguments give the same cells.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "homeobox/base/data_type.h"
#include "homeobox/base/error.h"
#include "homeobox/io/file_store.h"
#include "homeobox/zarr/array.h"

namespace {

template <class T>
std::vector<double> as_doubles(std::span<const std::byte> bytes) {
  const auto* values = reinterpret_cast<const T*>(bytes.data());
  return std::vector<double>(values, values + bytes.size() / sizeof(T));
}

std::vector<double> as_doubles(hox::DataType type, std::span<const std::byte> bytes) {
  switch (type) {
    case hox::DataType::kFloat32:
      return as_doubles<float>(bytes);
    case hox::DataType::kFloat64:
      return as_doubles<double>(bytes);
    case hox::DataType::kInt32:
      return as_doubles<std::int32_t>(bytes);
    case hox::DataType::kUint32:
      return as_doubles<std::uint32_t>(bytes);
    case hox::DataType::kInt64:
      return as_doubles<std::int64_t>(bytes);
    default:
      hox::fail<hox::Unsupported>("layer of {}: float32, float64, int32, uint32 or int64 expected", hox::name(type));
  }
}

// Rows [begins[i], ends[i]) of the array, one range after another.
std::vector<std::byte> gather(const hox::zarr::Array& array, std::span<const std::int64_t> begins,
                              std::span<const std::int64_t> ends) {
  std::int64_t n_elements = 0;
  for (std::size_t i = 0; i < begins.size(); ++i) n_elements += ends[i] - begins[i];
  std::vector<std::byte> out(static_cast<std::size_t>(n_elements) * hox::element_bytes(array.metadata().dtype));
  array.read_ranges(begins, ends, out);
  return out;
}

void print_sums(const std::string& store_path, const std::string& group, std::size_t n_cells,
                const std::string& layer) {
  const auto store = std::make_shared<const hox::FileStore>(store_path);
  const auto indptr = hox::zarr::Array::open(store, group + "/csr/indptr");
  const auto values = hox::zarr::Array::open(store, group + "/csr/layers/" + layer);

  const std::uint64_t n_rows = indptr->metadata().shape.at(0) - 1;
  std::mt19937_64 random(0);
  std::vector<std::int64_t> rows(n_cells);
  for (std::int64_t& row : rows) row = static_cast<std::int64_t>(random() % n_rows);

  // indptr[row] and indptr[row + 1] of every cell in one read, then the elements of every cell in another.
  std::vector<std::int64_t> after(rows);
  for (std::int64_t& row : after) row += 2;
  const std::vector<std::byte> bounds_bytes = gather(*indptr, rows, after);
  const auto* bounds = reinterpret_cast<const std::int64_t*>(bounds_bytes.data());
  std::vector<std::int64_t> begins(n_cells), ends(n_cells);
  for (std::size_t i = 0; i < n_cells; ++i) {
    begins[i] = bounds[2 * i];
    ends[i] = bounds[2 * i + 1];
  }
  const std::vector<double> counts = as_doubles(values->metadata().dtype, gather(*values, begins, ends));

  auto element = counts.begin();
  for (std::size_t i = 0; i < n_cells; ++i) {
    double total = 0;
    for (std::int64_t k = begins[i]; k < ends[i]; ++k) total += *element++;
    std::printf("%lld\t%.0f\n", static_cast<long long>(rows[i]), total);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 5) {
    std::fprintf(stderr, "usage: %s ZARR_STORE GROUP [N_CELLS] [LAYER]\n", argv[0]);
    return 2;
  }
  try {
    print_sums(argv[1], argv[2], argc > 3 ? std::stoul(argv[3]) : 100, argc > 4 ? argv[4] : "counts");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  return 0;
}
