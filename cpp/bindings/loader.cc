// Binds loader/: training batches as NumPy arrays without a copy.

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "homeobox/base/error.h"
#include "homeobox/loader/batch_loader.h"
#include "homeobox/ragged/sparse_group.h"
#include "loader_doc.h"
#include "ndarray.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;
using loader::Batch;
using loader::BatchLoader;

template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
std::vector<T> to_vector(const Vector<T>& array) {
  return {array.data(), array.data() + array.size()};
}

std::shared_ptr<BatchLoader> make_loader(const std::vector<std::shared_ptr<ragged::SparseGroup>>& groups,
                                         const std::vector<Vector<std::int32_t>>& remaps, const std::string& layer,
                                         const Vector<std::int32_t>& group_of_cell, const Vector<std::int64_t>& begins,
                                         const Vector<std::uint32_t>& lengths, std::int64_t n_columns,
                                         const std::string& dtype, std::uint32_t batch_size, bool shuffle,
                                         std::uint64_t seed, bool drop_last, std::uint64_t memory_bytes) {
  if (remaps.size() != groups.size())
    fail<InvalidArgument>("remaps: one per group expected, found {} for {}", remaps.size(), groups.size());
  loader::LoaderOptions options;
  options.batch_size = batch_size;
  options.shuffle = shuffle;
  options.seed = seed;
  options.drop_last = drop_last;
  options.dtype = dtype_from_name(dtype);
  options.memory_bytes = memory_bytes;
  const GilRelease released;
  std::vector<ragged::GatherGroup> prepared;
  prepared.reserve(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i)
    prepared.push_back(groups[i]->prepare(layer, {remaps[i].data(), remaps[i].size()}, n_columns));
  return std::make_shared<BatchLoader>(
      std::move(prepared), loader::CellPointers{to_vector(begins), to_vector(lengths), to_vector(group_of_cell)},
      options);
}

// cells, offsets, indices, values.
using BatchArrays = nb::typed<nb::tuple, NumpyArray, NumpyArray, NumpyArray, NumpyArray>;

// None after the last batch.
std::optional<BatchArrays> next_batch(BatchLoader& self) {
  const std::shared_ptr<const Batch> batch = [&] {
    const GilRelease released;
    return self.next();
  }();
  if (!batch) return std::nullopt;
  const auto view = [&](const void* data, std::uint64_t n, DataType dtype) {
    return view_ndarray(data, n, dtype, batch);
  };
  const std::uint64_t n_entries = batch->indices.size();
  return BatchArrays(nb::make_tuple(view(batch->cells.data(), batch->cells.size(), DataType::kUint32),
                                    view(batch->offsets.data(), batch->offsets.size(), DataType::kInt64),
                                    view(batch->indices.data(), n_entries, DataType::kInt32),
                                    view(batch->values.data(), n_entries, self.options().dtype)));
}

}  // namespace

void bind_loader(nb::module_& m) {
  nb::class_<BatchLoader>(m, "BatchLoader", kBatchLoaderDoc)
      .def(nb::new_(&make_loader), "groups"_a, "remaps"_a, "layer"_a, "group_of_cell"_a, "begins"_a, "lengths"_a,
           "n_columns"_a, "dtype"_a, "batch_size"_a = 512, "shuffle"_a = true, "seed"_a = 0, "drop_last"_a = false,
           "memory_bytes"_a = std::uint64_t{1} << 30)
      .def_prop_ro("n_batches", &BatchLoader::n_batches)
      .def_prop_ro("n_cells", &BatchLoader::n_cells)
      .def("restart", &BatchLoader::restart, "epoch"_a, nb::call_guard<GilRelease>(), kBatchLoaderRestartDoc)
      .def("next", &next_batch, kBatchLoaderNextDoc);
}

}  // namespace hox::bindings
