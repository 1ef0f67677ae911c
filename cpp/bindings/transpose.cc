// Binds the transposition of ragged/.

#include "homeobox/ragged/transpose.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings.h"
#include "homeobox/base/error.h"
#include "json_text.h"
#include "ndarray.h"
#include "transpose_doc.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;

// path, chunk elements, shard elements, codecs
using NewArrayTuple = std::tuple<std::string, std::uint64_t, std::optional<std::uint64_t>, std::string>;
using ObjectTuple = std::tuple<std::string, std::uint64_t, std::uint32_t>;  // key, bytes, crc32c

ragged::NewArray to_new_array(const NewArrayTuple& array) {
  const auto& [path, chunk_elements, shard_elements, codecs_json] = array;
  return {path, chunk_elements, shard_elements, parse_json_argument(codecs_json, "codecs")};
}

// Takes the GIL for a scope. A daemon thread that wants it while the interpreter goes down sleeps, as in GilRelease.
class GilAcquire {
 public:
  GilAcquire() : state_(acquire()) {}
  GilAcquire(const GilAcquire&) = delete;
  GilAcquire& operator=(const GilAcquire&) = delete;
  ~GilAcquire() { PyGILState_Release(state_); }

 private:
  static PyGILState_STATE acquire() {
    try {
      return PyGILState_Ensure();
    } catch (const abi::__forced_unwind&) {
      for (;;) ::pause();
    }
  }
  PyGILState_STATE state_;
};

// What the callback raises stays set in this thread while the core unwinds; errors.cc keeps it.
void call_python(const nb::object& callback, std::uint64_t n_done) {
  const GilAcquire gil;
  try {
    callback(n_done);
  } catch (nb::python_error& error) {
    error.restore();
    throw Cancelled("the progress callback raised");
  }
}

std::vector<ObjectTuple> transpose_csr(std::shared_ptr<Store> store, const std::string& group,
                                       const Int64Array& row_bounds, std::uint32_t n_features,
                                       const std::vector<std::pair<std::string, NewArrayTuple>>& layers,
                                       const std::optional<NewArrayTuple>& rows, const NewArrayTuple& feature_bounds,
                                       const std::optional<Int64Array>& known_bounds, const std::string& indices_path,
                                       const std::string& feature_order_path, std::uint64_t memory_bytes,
                                       const std::string& scratch_directory, const nb::object& on_progress) {
  ragged::TransposeJob job;
  job.store = std::move(store);
  job.group = group;
  job.indices_path = indices_path;
  job.feature_order_path = feature_order_path;
  job.row_bounds = values_of(row_bounds);
  job.n_features = n_features;
  for (const auto& [source, target] : layers) job.layers.push_back({source, to_new_array(target)});
  if (rows) job.rows = to_new_array(*rows);
  job.feature_bounds = to_new_array(feature_bounds);
  if (known_bounds) job.known_bounds = values_of(*known_bounds);
  job.memory_bytes = memory_bytes;
  job.scratch_directory = scratch_directory;
  if (!on_progress.is_none())
    job.on_progress = [&on_progress](std::uint64_t n_done) { call_python(on_progress, n_done); };
  std::vector<ObjectTuple> tuples;
  const GilRelease released;
  for (const zarr::StoredObject& object : ragged::transpose_csr(job))
    tuples.emplace_back(object.key, object.n_bytes, object.crc32c);
  return tuples;
}

}  // namespace

void bind_transpose(nb::module_& m) {
  m.def("transpose_csr", &transpose_csr, "store"_a, "group"_a, "row_bounds"_a, "n_features"_a, "layers"_a,
        "rows"_a.none(), "feature_bounds"_a, "known_bounds"_a = nb::none(), "indices_path"_a = "csr/indices",
        "feature_order_path"_a = "csr/feature_order", "memory_bytes"_a = std::uint64_t{256} << 20,
        "scratch_directory"_a = "", "on_progress"_a = nb::none(), kTransposeCsrDoc);
}

}  // namespace hox::bindings
