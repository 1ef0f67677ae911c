// Binds the writing of sparse groups: CsrSummary and CsrWriter of ragged/.

#include "homeobox/ragged/csr_writer.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "bindings.h"
#include "csr_writer_doc.h"
#include "file_array.h"
#include "homeobox/base/error.h"
#include "homeobox/ragged/csr_summary.h"
#include "json_text.h"
#include "ndarray.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;
using ragged::CsrSummary;
using ragged::CsrWriter;

using Vector = nb::ndarray<nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using EntriesArgument = std::variant<std::shared_ptr<PythonFileArray>, Vector>;
using Order = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
// path, dtype, elements, chunk elements, shard elements, codecs
using TargetTuple =
    std::tuple<std::string, std::string, std::uint64_t, std::uint64_t, std::optional<std::uint64_t>, std::string>;
using ObjectTuple = std::tuple<std::string, std::uint64_t, std::uint32_t>;  // key, bytes, crc32c

// An array of NumPy, or a FileArray: entries that are in memory, or still in a file. Keeps the file.
class PythonEntries {
 public:
  explicit PythonEntries(const EntriesArgument& given) : entries_(DataType::kBool, nullptr) {
    if (const auto* const array = std::get_if<std::shared_ptr<PythonFileArray>>(&given)) {
      if (*array == nullptr) fail<InvalidArgument>("entries: an array expected, found None");
      file_ = (*array)->file();
      n_elements_ = file_->layout().n_elements;
      entries_ = ragged::EntryArray(*file_);
    } else {
      const Vector& vector = std::get<Vector>(given);
      n_elements_ = vector.shape(0);
      entries_ = ragged::EntryArray(dtype_of(AnyArray(vector)), static_cast<const std::byte*>(vector.data()));
    }
  }
  const ragged::EntryArray& entries() const noexcept { return entries_; }
  std::uint64_t size() const noexcept { return n_elements_; }
  DataType dtype() const noexcept { return entries_.dtype(); }

 private:
  std::shared_ptr<const FileArray> file_;
  ragged::EntryArray entries_;
  std::uint64_t n_elements_;
};

void add(CsrSummary& summary, const EntriesArgument& indices, const EntriesArgument& values, std::uint64_t begin,
         std::optional<std::uint64_t> end) {
  const PythonEntries features(indices);
  const PythonEntries counts(values);
  if (!end && features.size() != counts.size())
    fail<InvalidArgument>("{} indices, but {} values", features.size(), counts.size());
  const std::uint64_t last = end.value_or(features.size());
  if (begin > last || last > features.size() || last > counts.size())
    fail<InvalidArgument>("entries [{}, {}) of {} indices and {} values", begin, last, features.size(), counts.size());
  const GilRelease released;
  summary.add(features.entries(), counts.entries(), begin, last);
}

NumpyArray totals(const CsrSummary& summary) {
  const std::uint64_t n = summary.totals().size();
  RawBuffer copy(n * sizeof(double));
  if (n != 0) std::memcpy(copy.data(), summary.totals().data(), n * sizeof(double));
  return to_ndarray(std::move(copy), DataType::kFloat64, {&n, 1});
}

// A CsrWriter and the dtypes that append() compares values with.
class PythonCsrWriter {
 public:
  PythonCsrWriter(const std::shared_ptr<Store>& store, const TargetTuple& indices,
                  const std::vector<TargetTuple>& layers, std::int64_t n_features, const std::optional<Order>& order) {
    if (std::get<1>(indices) != "uint32")
      fail<InvalidArgument>("indices: dtype uint32 expected, found {}", std::get<1>(indices));
    std::vector<zarr::ArrayOptions> options = {to_options(indices)};
    for (const TargetTuple& layer : layers) {
      options.push_back(to_options(layer));
      dtypes_.push_back(options.back().dtype);
    }
    const std::span<const std::uint32_t> given =
        order ? std::span<const std::uint32_t>(order->data(), order->shape(0)) : std::span<const std::uint32_t>();
    const GilRelease released;  // opening asks the store, and one in Python answers only without our GIL
    const auto open = [&](const TargetTuple& target, const zarr::ArrayOptions& option) {
      return CsrWriter::Target{std::make_unique<zarr::ArrayWriter>(store, std::get<0>(target), option),
                               element_bytes(option.dtype)};
    };
    std::vector<CsrWriter::Target> targets;
    for (std::size_t i = 0; i < layers.size(); ++i) targets.push_back(open(layers[i], options[i + 1]));
    writer_ = std::make_unique<CsrWriter>(open(indices, options[0]), std::move(targets), n_features, given);
  }
  PythonCsrWriter(const PythonCsrWriter&) = delete;
  PythonCsrWriter& operator=(const PythonCsrWriter&) = delete;
  // An abandoned writer waits for its writes, and a store in Python can only finish them without our GIL.
  ~PythonCsrWriter() {
    const GilRelease released;
    writer_.reset();
  }

  void append(const Int64Array& indptr, const EntriesArgument& indices, const std::vector<EntriesArgument>& data) {
    const PythonEntries features(indices);
    if (indptr.shape(0) == 0) fail<InvalidArgument>("indptr: at least one entry expected, found none");
    const std::int64_t begin = indptr.data()[0];
    const std::int64_t end = indptr.data()[indptr.shape(0) - 1];
    if (begin < 0 || end < begin || static_cast<std::uint64_t>(end) > features.size())
      fail<InvalidArgument>("indptr: entries [{}, {}) of {} indices", begin, end, features.size());
    if (!std::is_sorted(indptr.data(), indptr.data() + indptr.shape(0))) fail<InvalidArgument>("indptr decreases");
    if (data.size() != dtypes_.size())
      fail<InvalidArgument>("data: {} array(s) expected, found {}", dtypes_.size(), data.size());
    std::vector<PythonEntries> kept;
    std::vector<ragged::EntryArray> layers;
    for (std::size_t i = 0; i < data.size(); ++i) {
      const PythonEntries& values = kept.emplace_back(data[i]);
      if (static_cast<std::uint64_t>(end) > values.size())
        fail<InvalidArgument>("indptr: entries [{}, {}) of {} values", begin, end, values.size());
      if (values.dtype() != dtypes_[i])
        fail<InvalidArgument>("data: values of {} expected, found {}", name(dtypes_[i]), name(values.dtype()));
      layers.push_back(values.entries());
    }
    const ragged::CsrInput block{values_of(indptr), features.entries()};
    const GilRelease released;
    writer_->append(block, layers);
  }

  std::vector<ObjectTuple> finish() {
    std::vector<ObjectTuple> tuples;
    const GilRelease released;
    for (const zarr::StoredObject& object : writer_->finish())
      tuples.emplace_back(object.key, object.n_bytes, object.crc32c);
    return tuples;
  }

 private:
  static zarr::ArrayOptions to_options(const TargetTuple& target) {
    const auto& [path, dtype, n_elements, chunk_elements, shard_elements, codecs_json] = target;
    zarr::ArrayOptions options;
    options.dtype = dtype_from_name(dtype);
    options.shape = {n_elements};
    options.chunk_shape = {chunk_elements};
    if (shard_elements) options.shard_shape = {*shard_elements};
    options.codecs = parse_json_argument(codecs_json, "codecs");
    return options;
  }

  std::vector<DataType> dtypes_;
  std::unique_ptr<CsrWriter> writer_;
};

}  // namespace

void bind_csr_writer(nb::module_& m) {
  nb::class_<CsrSummary>(m, "CsrSummary", kCsrSummaryDoc)
      .def(nb::init<std::int64_t>(), "n_features"_a)
      .def("add", &add, "indices"_a, "values"_a, "begin"_a = 0, "end"_a = nb::none(), kCsrSummaryAddDoc)
      .def_prop_ro("totals", &totals, kTotalsDoc)
      .def_prop_ro("n_entries", &CsrSummary::n_entries, "int, entries so far")
      .def_prop_ro("has_negative", &CsrSummary::has_negative, "bool")
      .def_prop_ro("has_fraction", &CsrSummary::has_fraction, "bool: a finite value is no whole number")
      .def_prop_ro("has_nonfinite", &CsrSummary::has_nonfinite, "bool: a value is NaN or infinite");

  nb::class_<PythonCsrWriter>(m, "CsrWriter", kCsrWriterDoc)
      .def(nb::init<const std::shared_ptr<Store>&, const TargetTuple&, const std::vector<TargetTuple>&, std::int64_t,
                    const std::optional<Order>&>(),
           "store"_a, "indices"_a, "layers"_a, "n_features"_a, "order"_a = nb::none())
      .def("append", &PythonCsrWriter::append, "indptr"_a, "indices"_a, "data"_a, kCsrWriterAppendDoc)
      .def("finish", &PythonCsrWriter::finish, kCsrWriterFinishDoc);
}

}  // namespace hox::bindings
