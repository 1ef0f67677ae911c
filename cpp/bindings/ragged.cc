// Binds ragged/: groups, gather and the stored feature order.

#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "homeobox/base/error.h"
#include "homeobox/ragged/dense_gather.h"
#include "homeobox/ragged/sparse_group.h"
#include "homeobox/ragged/stored_order.h"
#include "ndarray.h"
#include "ragged_doc.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;
using ragged::SparseGroup;

template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
std::span<const T> span_of(const Vector<T>& vector) {
  return {vector.data(), vector.shape(0)};
}

NumpyArray to_vector(RawBuffer memory, DataType dtype, std::uint64_t n) {
  return to_ndarray(std::move(memory), dtype, {&n, 1});
}

nb::object feature_order_of(const SparseGroup& group) {
  if (group.feature_order().empty()) return nb::none();
  RawBuffer copy(group.feature_order().size() * sizeof(std::uint32_t));
  std::memcpy(copy.data(), group.feature_order().data(), copy.size());
  return to_vector(std::move(copy), DataType::kUint32, group.feature_order().size());
}

std::string layer_dtype(const SparseGroup& group, const std::string& layer) {
  const GilRelease released;
  return std::string(name(group.layer(layer)->metadata().dtype));
}

// indptr, indices, data.
using CsrArrays = nb::typed<nb::tuple, NumpyArray, NumpyArray, NumpyArray>;
// indices, the data arrays.
using ReorderedArrays = nb::typed<nb::tuple, NumpyArray, nb::typed<nb::list, NumpyArray>>;

CsrArrays gather_csr(const std::vector<std::shared_ptr<SparseGroup>>& groups,
                     const std::vector<Vector<std::int32_t>>& remaps, const std::string& layer,
                     const Vector<std::int32_t>& group_of_cell, const Vector<std::int64_t>& begins,
                     const Vector<std::int64_t>& ends, std::int64_t n_columns, const std::string& dtype, bool sort) {
  if (remaps.size() != groups.size())
    fail<InvalidArgument>("remaps: one per group expected, found {} for {}", remaps.size(), groups.size());
  const DataType result_type = dtype_from_name(dtype);
  ragged::CsrMatrix matrix = [&] {
    const GilRelease released;
    std::vector<ragged::GatherGroup> prepared;
    prepared.reserve(groups.size());
    for (std::size_t i = 0; i < groups.size(); ++i)
      prepared.push_back(groups[i]->prepare(layer, span_of(remaps[i]), n_columns));
    return ragged::gather_csr(prepared, {span_of(group_of_cell), span_of(begins), span_of(ends)}, result_type,
                              sort ? ragged::RowOrder::kCanonical : ragged::RowOrder::kStored);
  }();
  const auto n_entries = static_cast<std::size_t>(matrix.indptr.back());
  RawBuffer indptr(matrix.indptr.size() * sizeof(std::int64_t));
  std::memcpy(indptr.data(), matrix.indptr.data(), indptr.size());
  return nb::make_tuple(to_vector(std::move(indptr), DataType::kInt64, matrix.indptr.size()),
                        to_vector(std::move(matrix.indices), DataType::kInt32, n_entries),
                        to_vector(std::move(matrix.data), matrix.dtype, n_entries));
}

NumpyArray gather_dense(const std::vector<std::shared_ptr<const zarr::Array>>& layers,
                        const std::vector<Vector<std::int32_t>>& remaps, const Vector<std::int32_t>& group_of_cell,
                        const Vector<std::int64_t>& positions, std::int64_t n_columns) {
  if (remaps.size() != layers.size())
    fail<InvalidArgument>("remaps: one per layer expected, found {} for {}", remaps.size(), layers.size());
  if (n_columns < 0) fail<InvalidArgument>("n_columns: 0 or more expected, found {}", n_columns);
  std::vector<ragged::DenseGroup> groups;
  for (std::size_t i = 0; i < layers.size(); ++i) groups.push_back({layers[i], span_of(remaps[i])});
  RawBuffer matrix = [&] {
    const GilRelease released;
    return ragged::gather_dense(groups, span_of(group_of_cell), span_of(positions), n_columns);
  }();
  const std::array<std::uint64_t, 2> shape = {group_of_cell.shape(0), static_cast<std::uint64_t>(n_columns)};
  return to_ndarray(std::move(matrix), DataType::kFloat32, shape);
}

NumpyArray feature_order(const Vector<double>& totals) {
  const std::vector<std::uint32_t> order = ragged::feature_order(span_of(totals));
  RawBuffer copy(order.size() * sizeof(std::uint32_t));
  std::memcpy(copy.data(), order.data(), copy.size());
  return to_vector(std::move(copy), DataType::kUint32, order.size());
}

using AnyVector = nb::ndarray<nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

ReorderedArrays reorder_csr(const Vector<std::int64_t>& indptr, const AnyVector& indices,
                            const std::vector<AnyVector>& data, std::int64_t n_features, const nb::object& order) {
  if (indptr.shape(0) == 0) fail<InvalidArgument>("indptr: at least one entry expected, found none");
  const std::int64_t origin = indptr.data()[0];
  const std::int64_t end = indptr.data()[indptr.shape(0) - 1];
  if (origin < 0 || end < origin || static_cast<std::uint64_t>(end) > indices.shape(0))
    fail<InvalidArgument>("indptr: entries [{}, {}) of {} indices", origin, end, indices.shape(0));
  const auto n_entries = static_cast<std::size_t>(end - origin);
  std::vector<std::uint32_t> stored_of_local;
  if (!order.is_none()) {
    const auto given = nb::cast<Vector<std::uint32_t>>(order);
    std::vector<std::int32_t> identity(given.shape(0));
    for (std::size_t i = 0; i < identity.size(); ++i) identity[i] = static_cast<std::int32_t>(i);
    if (given.shape(0) != static_cast<std::size_t>(n_features))
      fail<InvalidArgument>("order: {} features expected, found {}", n_features, given.shape(0));
    const ragged::ColumnMap checked(span_of(given), identity, n_features);  // refuses what is no permutation
    stored_of_local = ragged::invert_order(span_of(given));
  }
  RawBuffer stored(n_entries * sizeof(std::uint32_t));
  std::vector<RawBuffer> reordered;
  std::vector<ragged::LayerInput> layers;
  for (const AnyVector& values : data) {
    if (values.shape(0) != indices.shape(0))
      fail<InvalidArgument>("data: {} values expected, as many as indices, found {}", indices.shape(0),
                            values.shape(0));
    const ragged::EntryArray entries(dtype_of(AnyArray(values)), static_cast<const std::byte*>(values.data()));
    reordered.emplace_back(n_entries * entries.element_bytes());
    layers.push_back({entries, reordered.back().data()});
  }
  {
    const ragged::EntryArray features(dtype_of(AnyArray(indices)), static_cast<const std::byte*>(indices.data()));
    const GilRelease released;
    ragged::reorder_rows({span_of(indptr), features}, layers, n_features, stored_of_local, 0, indptr.shape(0) - 1,
                         stored.as<std::uint32_t>());
  }
  nb::list results;
  for (std::size_t i = 0; i < data.size(); ++i)
    results.append(to_vector(std::move(reordered[i]), dtype_of(AnyArray(data[i])), n_entries));
  return nb::make_tuple(to_vector(std::move(stored), DataType::kUint32, n_entries), results);
}

}  // namespace

void bind_ragged(nb::module_& m) {
  nb::class_<SparseGroup>(m, "SparseGroup", kSparseGroupDoc)
      .def(nb::new_([](const std::shared_ptr<Store>& store, const std::string& group, const std::string& indices_path,
                       const std::string& feature_order_path) {
             const GilRelease released;
             return std::make_shared<SparseGroup>(store, group, indices_path, feature_order_path);
           }),
           "store"_a, "group"_a, "indices_path"_a = "csr/indices", "feature_order_path"_a = "csr/feature_order")
      .def_prop_ro("path", &SparseGroup::path)
      .def_prop_ro("n_entries", [](const SparseGroup& group) { return group.indices().metadata().shape[0]; })
      .def_prop_ro("feature_order", &feature_order_of, kFeatureOrderPropertyDoc)
      .def("layer_dtype", &layer_dtype, "layer"_a, kLayerDtypeDoc);
  m.def("gather_csr", &gather_csr, "groups"_a, "remaps"_a, "layer"_a, "group_of_cell"_a, "begins"_a, "ends"_a,
        "n_columns"_a, "dtype"_a, "sort"_a = true, kGatherCsrDoc);
  m.def("gather_dense", &gather_dense, "layers"_a, "remaps"_a, "group_of_cell"_a, "positions"_a, "n_columns"_a,
        kGatherDenseDoc);
  m.def("feature_order", &feature_order, "totals"_a, kFeatureOrderDoc);
  m.def("reorder_csr", &reorder_csr, "indptr"_a, "indices"_a, "data"_a, "n_features"_a, "order"_a = nb::none(),
        kReorderCsrDoc);
}

}  // namespace hox::bindings
