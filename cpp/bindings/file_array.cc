// Binds io/file_array.h: arrays that lie as plain bytes in a file which somebody has open.

#include "file_array.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "file_array_doc.h"
#include "homeobox/base/error.h"
#include "ndarray.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;
using Layout = FileArray::Layout;
using Out = nb::ndarray<nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::shared_ptr<Layout> make_layout(std::string name, const std::string& dtype, std::uint64_t n_elements,
                                    std::uint64_t chunk_elements, const Int64Array& offsets) {
  Layout layout{std::move(name), dtype_from_name(dtype), n_elements, chunk_elements, {}};
  for (const std::int64_t offset : values_of(offsets)) {
    if (offset < 0) fail<InvalidArgument>("{}: a chunk at byte {} of a file", layout.name, offset);
    layout.offsets.push_back(static_cast<std::uint64_t>(offset));
  }
  return std::make_shared<Layout>(std::move(layout));
}

void read_into(const PythonFileArray& array, std::uint64_t begin, const Out& out) {
  const std::shared_ptr<const FileArray> file = array.file();
  const std::size_t item_bytes = element_bytes(file->layout().dtype);
  if (out.itemsize() != item_bytes)
    fail<InvalidArgument>("out: elements of {} bytes expected, found {}", item_bytes, out.itemsize());
  const std::span<std::byte> bytes{static_cast<std::byte*>(out.data()), out.nbytes()};
  const GilRelease released;
  file->read(begin, bytes);
}

void prefetch(const PythonFileArray& array, std::uint64_t begin, std::uint64_t end) {
  const std::shared_ptr<const FileArray> file = array.file();
  const GilRelease released;
  file->prefetch(begin, end);
}

}  // namespace

void bind_file_array(nb::module_& m) {
  nb::class_<PythonFileArray>(m, "FileArray", kFileArrayDoc)
      .def("__len__", [](const PythonFileArray& array) { return array.file()->layout().n_elements; })
      .def_prop_ro("dtype",
                   [](const PythonFileArray& array) { return std::string(name(array.file()->layout().dtype)); })
      .def("read_into", &read_into, "begin"_a, "out"_a, kFileArrayReadDoc)
      .def("prefetch", &prefetch, "begin"_a, "end"_a, kFileArrayPrefetchDoc)
      .def("close", &PythonFileArray::close, kFileArrayCloseDoc);
  nb::class_<Layout>(m, "FileLayout", kFileLayoutDoc)
      .def(nb::new_(&make_layout), "name"_a, "dtype"_a, "n_elements"_a, "chunk_elements"_a, "offsets"_a)
      .def(
          "open",
          [](std::shared_ptr<Layout> layout, int descriptor) {
            return std::make_shared<PythonFileArray>(std::make_shared<FileArray>(descriptor, std::move(layout)));
          },
          "descriptor"_a, kFileLayoutOpenDoc);
}

}  // namespace hox::bindings
