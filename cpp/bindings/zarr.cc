// Binds zarr/: arrays, their writer, groups and manifests.

#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings.h"
#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/zarr/array.h"
#include "homeobox/zarr/array_writer.h"
#include "homeobox/zarr/group.h"
#include "homeobox/zarr/manifest.h"
#include "json_text.h"
#include "ndarray.h"
#include "zarr_doc.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;
using zarr::Array;
using zarr::ArrayOptions;
using zarr::ArrayWriter;
using zarr::Group;
using zarr::StoredObject;

using Shape = std::vector<std::uint64_t>;
using ObjectTuple = std::tuple<std::string, std::uint64_t, std::uint32_t>;  // key, bytes, crc32c

ObjectTuple to_tuple(const StoredObject& object) { return {object.key, object.n_bytes, object.crc32c}; }

std::vector<ObjectTuple> to_tuples(const std::vector<StoredObject>& objects) {
  std::vector<ObjectTuple> tuples;
  tuples.reserve(objects.size());
  for (const StoredObject& object : objects) tuples.push_back(to_tuple(object));
  return tuples;
}

// nanobind holds what it was given as non-const; all methods of Array and Group are const.
std::shared_ptr<Array> open_array(std::shared_ptr<Store> store, const std::string& path) {
  const GilRelease released;
  return std::const_pointer_cast<Array>(Array::open(std::move(store), path));
}

std::shared_ptr<Group> open_group(std::shared_ptr<Store> store, const std::string& path) {
  const GilRelease released;
  return std::const_pointer_cast<Group>(Group::open(std::move(store), path));
}

std::shared_ptr<Array> open_member(const Group& group, const std::string& name) {
  const GilRelease released;
  return std::const_pointer_cast<Array>(group.open_array(name));
}

nb::typed<nb::tuple, int, nb::ellipsis> shape_tuple(const Array& array) {
  nb::list extents;
  for (const std::uint64_t extent : array.metadata().shape) extents.append(extent);
  return nb::tuple(extents);
}

std::string dtype_name(const Array& array) { return std::string(name(array.metadata().dtype)); }

std::string metadata_text(const Array& array) { return array.metadata().to_text(); }

// Room for a result of these extents.
RawBuffer allocate(const Shape& shape, DataType dtype) {
  std::uint64_t n_bytes = element_bytes(dtype);
  for (const std::uint64_t extent : shape) {
    const auto product = checked_multiply(n_bytes, extent);
    if (!product) fail<InvalidArgument>("a result of {} elements is too large", fmt::join(shape, " x "));
    n_bytes = *product;
  }
  return RawBuffer(n_bytes);
}

NumpyArray read(const Array& array, const Shape& begin, const Shape& end) {
  const DataType dtype = array.metadata().dtype;
  Shape shape(end.size());
  for (std::size_t axis = 0; axis < end.size(); ++axis)
    // What is out of order is refused by Array::read, which names the axis.
    shape[axis] = axis < begin.size() && begin[axis] < end[axis] ? end[axis] - begin[axis] : 0;
  RawBuffer memory;
  {
    const GilRelease released;
    array.check_box(begin, end);
    memory = allocate(shape, dtype);
    array.read(begin, end, {memory.data(), memory.size()});
  }
  return to_ndarray(std::move(memory), dtype, shape);
}

NumpyArray read_all(const Array& array) {
  const Shape& end = array.metadata().shape;
  return read(array, Shape(end.size(), 0), end);
}

NumpyArray read_ranges(const Array& array, const Int64Array& begins, const Int64Array& ends) {
  const DataType dtype = array.metadata().dtype;
  Shape shape = array.metadata().shape;
  RawBuffer memory;
  {
    const GilRelease released;
    const std::uint64_t n_rows = array.count_rows(values_of(begins), values_of(ends));
    shape[0] = n_rows;
    memory = allocate(shape, dtype);
    array.read_ranges(values_of(begins), values_of(ends), {memory.data(), memory.size()});
  }
  return to_ndarray(std::move(memory), dtype, shape);
}

ArrayOptions make_options(const std::string& dtype, Shape shape, Shape chunk_shape, std::optional<Shape> shard_shape,
                          const std::string& codecs_json, const std::string& attributes_json,
                          const std::string& index_location) {
  if (index_location != "end" && index_location != "start")
    fail<InvalidArgument>("index_location: \"end\" or \"start\" expected, found \"{}\"", index_location);
  return {dtype_from_name(dtype),
          std::move(shape),
          std::move(chunk_shape),
          std::move(shard_shape),
          parse_json_argument(codecs_json, "codecs_json"),
          parse_json_argument(attributes_json, "attributes_json"),
          index_location == "end"};
}

// An ArrayWriter and what append() compares rows with.
class PythonArrayWriter {
 public:
  PythonArrayWriter(std::shared_ptr<Store> store, const std::string& path, ArrayOptions options)
      : options_(std::move(options)) {
    const GilRelease released;  // opening asks the store, and one in Python answers only without our GIL
    writer_ = std::make_unique<ArrayWriter>(std::move(store), path, options_);
  }
  PythonArrayWriter(const PythonArrayWriter&) = delete;
  PythonArrayWriter& operator=(const PythonArrayWriter&) = delete;
  // An abandoned writer waits for its writes, and a store in Python can only finish them without our GIL.
  ~PythonArrayWriter() {
    const GilRelease released;
    writer_.reset();
  }

  void append(const AnyArray& rows) {
    if (dtype_of(rows) != options_.dtype)
      fail<InvalidArgument>("rows of {} expected, found {}", name(options_.dtype), name(dtype_of(rows)));
    Shape expected = options_.shape;
    if (rows.ndim() == expected.size()) expected[0] = rows.shape(0);
    if (shape_of(rows) != expected)
      fail<InvalidArgument>("rows of shape (n, ...) like ({}) expected, found ({})", fmt::join(options_.shape, ", "),
                            fmt::join(shape_of(rows), ", "));
    const GilRelease released;
    writer_->append(bytes_of(rows), rows.shape(0));
  }

  const std::vector<StoredObject>& finish() {
    const GilRelease released;
    return writer_->finish();
  }

  const std::vector<StoredObject>& objects() const noexcept { return writer_->objects(); }

 private:
  ArrayOptions options_;
  std::unique_ptr<ArrayWriter> writer_;
};

void init_writer(PythonArrayWriter* self, std::shared_ptr<Store> store, const std::string& path,
                 const std::string& dtype, Shape shape, Shape chunk_shape, std::optional<Shape> shard_shape,
                 const std::string& codecs_json, const std::string& attributes_json,
                 const std::string& index_location) {
  ArrayOptions options = make_options(dtype, std::move(shape), std::move(chunk_shape), std::move(shard_shape),
                                      codecs_json, attributes_json, index_location);
  new (self) PythonArrayWriter(std::move(store), path, std::move(options));
}

std::vector<ObjectTuple> finish(PythonArrayWriter& writer) { return to_tuples(writer.finish()); }

std::vector<ObjectTuple> written(const PythonArrayWriter& writer) { return to_tuples(writer.objects()); }

std::vector<ObjectTuple> write_array(std::shared_ptr<Store> store, const std::string& path, const AnyArray& data,
                                     Shape chunk_shape, std::optional<Shape> shard_shape,
                                     const std::string& codecs_json, const std::string& attributes_json,
                                     const std::string& index_location) {
  PythonArrayWriter writer(std::move(store), path,
                           make_options(std::string(name(dtype_of(data))), shape_of(data), std::move(chunk_shape),
                                        std::move(shard_shape), codecs_json, attributes_json, index_location));
  writer.append(data);
  return finish(writer);
}

ObjectTuple write_group(Store& store, const std::string& path, const std::string& attributes_json) {
  const zarr::Json attributes = parse_json_argument(attributes_json, "attributes_json");
  const GilRelease released;
  return to_tuple(zarr::write_group(store, path, attributes));
}

bool find_group(const Store& store, const std::string& path) {
  const GilRelease released;
  return zarr::find_group(store, path);
}

ObjectTuple write_manifest(Store& store, const std::string& group_path, const std::vector<ObjectTuple>& objects) {
  std::vector<StoredObject> stored;
  stored.reserve(objects.size());
  for (const auto& [key, n_bytes, crc32c] : objects) stored.push_back({key, n_bytes, crc32c});
  const GilRelease released;
  return to_tuple(zarr::write_manifest(store, group_path, stored));
}

std::optional<std::vector<ObjectTuple>> read_manifest(const Store& store, const std::string& group_path) {
  std::optional<std::vector<StoredObject>> objects;
  {
    const GilRelease released;
    objects = zarr::read_manifest(store, group_path);
  }
  if (!objects) return std::nullopt;
  return to_tuples(*objects);
}

}  // namespace

void bind_zarr(nb::module_& m) {
  nb::class_<Array>(m, "Array", kArrayDoc)
      .def_static("open", &open_array, "store"_a, "path"_a, kOpenDoc)
      .def_prop_ro("shape", &shape_tuple, "tuple of int")
      .def_prop_ro("dtype", &dtype_name, "str, such as ``\"uint32\"``")
      .def_prop_ro("path", &Array::path, "str")
      .def_prop_ro("metadata", &metadata_text, "str, the text of ``zarr.json`` as zarr-python would write it")
      .def("read", &read, "begin"_a, "end"_a, kReadBoxDoc)
      .def("read_all", &read_all, kReadAllDoc)
      .def("read_ranges", &read_ranges, "begins"_a, "ends"_a, kReadRowRangesDoc);

  nb::class_<Group>(m, "Group", kGroupDoc)
      .def_static("open", &open_group, "store"_a, "path"_a, kOpenGroupDoc)
      .def_prop_ro("path", &Group::path, "str")
      .def("open_array", &open_member, "name"_a, kOpenMemberDoc);

  nb::class_<PythonArrayWriter>(m, "ArrayWriter", kArrayWriterDoc)
      .def("__init__", &init_writer, "store"_a, "path"_a, "dtype"_a, "shape"_a, "chunk_shape"_a, "shard_shape"_a.none(),
           "codecs_json"_a, "attributes_json"_a = "{}", "index_location"_a = "end")
      .def("append", &PythonArrayWriter::append, "rows"_a, kAppendDoc)
      .def("finish", &finish, kFinishDoc)
      .def_prop_ro("objects", &written, "list of (key, bytes, crc32c): what was written so far");

  m.def("write_array", &write_array, "store"_a, "path"_a, "data"_a, "chunk_shape"_a, "shard_shape"_a.none(),
        "codecs_json"_a, "attributes_json"_a = "{}", "index_location"_a = "end", kWriteArrayDoc);
  m.def("write_group", &write_group, "store"_a, "path"_a, "attributes_json"_a = "{}", kWriteGroupDoc);
  m.def("find_group", &find_group, "store"_a, "path"_a, kFindGroupDoc);
  m.def("write_manifest", &write_manifest, "store"_a, "group_path"_a, "objects"_a, kWriteManifestDoc);
  m.def("read_manifest", &read_manifest, "store"_a, "group_path"_a, kReadManifestDoc);
}

}  // namespace hox::bindings
