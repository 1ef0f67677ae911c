// Binds io/: stores and the wrappers that tests use.
//
// Stores are made by std::make_shared (nb::new_), so that C++ may keep one without touching Python's counts.

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "homeobox/base/error.h"
#include "homeobox/io/file_store.h"
#include "homeobox/io/memory_store.h"
#include "homeobox/io/retrying_store.h"
#include "homeobox/io/testing/counting_store.h"
#include "homeobox/io/testing/failing_store.h"
#include "homeobox/io/testing/slow_store.h"
#include "io_doc.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;

// Calls `request` without the GIL.
template <class Request>
auto without_gil(Request request) {
  const GilRelease released;
  return request();
}

std::optional<nb::bytes> read(const Store& store, const std::string& key) {
  const std::optional<Buffer> object = without_gil([&] { return store.read(key); });
  if (!object) return std::nullopt;
  return to_bytes(object->bytes());
}

std::optional<std::vector<nb::bytes>> read_ranges(const Store& store, const std::string& key,
                                                  const std::vector<std::int64_t>& begins,
                                                  const std::vector<std::int64_t>& ends) {
  if (begins.size() != ends.size())
    fail<InvalidArgument>("begins and ends: the same length expected, found {} and {}", begins.size(), ends.size());
  std::vector<ByteRange> ranges(begins.size());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (begins[i] < 0 || ends[i] < begins[i])
      fail<InvalidArgument>("range {}: 0 <= begin <= end expected, found [{}, {})", i, begins[i], ends[i]);
    ranges[i] = {static_cast<std::uint64_t>(begins[i]), static_cast<std::uint64_t>(ends[i])};
  }
  const auto slices = without_gil([&] { return store.read_ranges(key, ranges); });
  if (!slices) return std::nullopt;
  std::vector<nb::bytes> result;
  result.reserve(slices->size());
  for (const Buffer& slice : *slices) result.push_back(to_bytes(slice.bytes()));
  return result;
}

std::optional<std::pair<nb::bytes, std::uint64_t>> read_suffix(const Store& store, const std::string& key,
                                                               std::uint64_t n_bytes) {
  const std::optional<Suffix> suffix = without_gil([&] { return store.read_suffix(key, n_bytes); });
  if (!suffix) return std::nullopt;
  return std::pair(to_bytes(suffix->bytes.bytes()), suffix->object_bytes);
}

std::optional<std::uint64_t> size(const Store& store, const std::string& key) {
  return without_gil([&] { return store.size(key); });
}

void write(Store& store, const std::string& key, nb::handle data) {
  const BufferView view(data);
  without_gil([&] { store.write(key, view.bytes()); });
}

bool create(Store& store, const std::string& key, nb::handle data) {
  const BufferView view(data);
  return without_gil([&] { return store.create(key, view.bytes()); });
}

void remove(Store& store, const std::string& key) {
  without_gil([&] { store.remove(key); });
}

std::vector<std::pair<std::string, std::uint64_t>> list(const Store& store, const std::string& prefix) {
  return without_gil([&] {
    std::vector<std::pair<std::string, std::uint64_t>> result;
    for (ObjectInfo& object : store.list(prefix)) result.emplace_back(std::move(object.key), object.bytes);
    return result;
  });
}

std::string repr(nb::handle self) {
  const Store& store = nb::cast<const Store&>(self);
  return fmt::format("{}({})", nb::type_name(self.type()).c_str(), store.describe());
}

std::chrono::nanoseconds seconds(double seconds, const char* name) {
  // Above a year the conversion could overflow, and no request waits for that.
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 3.2e7)
    fail<InvalidArgument>("{}: seconds from 0 to 3.2e7 expected, found {}", name, seconds);
  return std::chrono::nanoseconds(static_cast<std::chrono::nanoseconds::rep>(seconds * 1e9));
}

std::shared_ptr<FileStore> make_file_store(nb::handle root) {
  // Accepts str and os.PathLike, in the encoding of the file system.
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(root.ptr(), &encoded) == 0) throw nb::python_error();
  const nb::bytes path = nb::steal<nb::bytes>(encoded);
  return std::make_shared<FileStore>(std::string(path.c_str(), path.size()));
}

std::shared_ptr<RetryingStore> make_retrying_store(std::shared_ptr<Store> inner, int max_attempts, double first_wait_s,
                                                   double max_wait_s) {
  const auto milliseconds = [](double value, const char* name) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(seconds(value, name));
  };
  const RetryPolicy policy{max_attempts, milliseconds(first_wait_s, "first_wait_s"),
                           milliseconds(max_wait_s, "max_wait_s")};
  return std::make_shared<RetryingStore>(std::move(inner), policy);
}

std::shared_ptr<FailingStore> make_failing_store(std::shared_ptr<Store> inner, std::uint64_t fail_on,
                                                 std::uint64_t n_failures, bool retryable) {
  return std::make_shared<FailingStore>(std::move(inner), fail_on, n_failures, retryable);
}

std::shared_ptr<SlowStore> make_slow_store(std::shared_ptr<Store> inner, double delay_s) {
  return std::make_shared<SlowStore>(std::move(inner), seconds(delay_s, "delay_s"));
}

void bind_store(nb::module_& m) {
  nb::class_<Store>(m, "Store", kStoreDoc)
      .def("read", &read, "key"_a, kReadDoc)
      .def("read_ranges", &read_ranges, "key"_a, "begins"_a, "ends"_a, kReadRangesDoc)
      .def("read_suffix", &read_suffix, "key"_a, "n_bytes"_a, kReadSuffixDoc)
      .def("size", &size, "key"_a, kSizeDoc)
      .def("write", &write, "key"_a, "data"_a, kWriteDoc)
      .def("create", &create, "key"_a, "data"_a, kCreateDoc)
      .def("remove", &remove, "key"_a, kRemoveDoc)
      .def("list", &list, "prefix"_a = "", kListDoc)
      .def("describe", &Store::describe, kDescribeDoc)
      .def("__repr__", &repr);
}

void bind_test_doubles(nb::module_& m) {
  nb::class_<CountingStore, Store>(m, "CountingStore", kCountingStoreDoc)
      .def(nb::new_([](std::shared_ptr<Store> inner) { return std::make_shared<CountingStore>(std::move(inner)); }),
           "inner"_a)
      .def_prop_ro("requests", &CountingStore::requests, "Requests since the last reset.")
      .def_prop_ro("bytes_read", &CountingStore::bytes_read, "Bytes read since the last reset.")
      .def_prop_ro("bytes_written", &CountingStore::bytes_written, "Bytes written since the last reset.")
      .def("reset", &CountingStore::reset, "Start counting from zero.");
  nb::class_<FailingStore, Store>(m, "FailingStore", kFailingStoreDoc)
      .def(nb::new_(&make_failing_store), "inner"_a, "fail_on"_a, "n_failures"_a = 1, "retryable"_a = false)
      .def_prop_ro("requests", &FailingStore::requests, "Requests so far, the failed ones among them.");
  nb::class_<SlowStore, Store>(m, "SlowStore", kSlowStoreDoc).def(nb::new_(&make_slow_store), "inner"_a, "delay_s"_a);
}

}  // namespace

void bind_io(nb::module_& m) {
  bind_store(m);
  nb::class_<FileStore, Store>(m, "FileStore", kFileStoreDoc)
      .def(nb::new_(&make_file_store), "root"_a)
      .def_prop_ro("root", &FileStore::root, "Absolute path of the directory.");
  nb::class_<MemoryStore, Store>(m, "MemoryStore", kMemoryStoreDoc).def(nb::new_([] {
    return std::make_shared<MemoryStore>();
  }));
  nb::class_<RetryingStore, Store>(m, "RetryingStore", kRetryingStoreDoc)
      .def(nb::new_(&make_retrying_store), "inner"_a, "max_attempts"_a = 5, "first_wait_s"_a = 0.1,
           "max_wait_s"_a = 10.0);
  bind_test_doubles(m);
}

}  // namespace hox::bindings
