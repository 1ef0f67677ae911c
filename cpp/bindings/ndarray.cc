#include "ndarray.h"

#include <cstdlib>
#include <utility>

#include "homeobox/base/error.h"

namespace hox::bindings {
namespace {

nb::dlpack::dtype to_dlpack(DataType dtype) {
  nb::dlpack::dtype_code code = nb::dlpack::dtype_code::UInt;
  switch (info(dtype).kind) {
    case 'b':
      code = nb::dlpack::dtype_code::Bool;
      break;
    case 'i':
      code = nb::dlpack::dtype_code::Int;
      break;
    case 'f':
      code = nb::dlpack::dtype_code::Float;
      break;
    default:
      break;
  }
  return {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(8 * element_bytes(dtype)), 1};
}

}  // namespace

DataType dtype_from_name(std::string_view text) {
  const auto dtype = parse_data_type(text);
  if (!dtype) fail<InvalidArgument>("dtype: bool, an integer or a float of 16 to 64 bits expected, found \"{}\"", text);
  return *dtype;
}

DataType dtype_of(const AnyArray& array) {
  for (const DataTypeInfo& entry : kDataTypes)
    if (array.dtype() == to_dlpack(entry.type)) return entry.type;
  fail<InvalidArgument>("an array of bool, integers or floats expected, found dtype code {} of {} bits",
                        array.dtype().code, array.dtype().bits);
}

std::vector<std::uint64_t> shape_of(const AnyArray& array) {
  std::vector<std::uint64_t> shape(array.ndim());
  for (std::size_t axis = 0; axis < shape.size(); ++axis) shape[axis] = array.shape(axis);
  return shape;
}

std::span<const std::byte> bytes_of(const AnyArray& array) {
  return {static_cast<const std::byte*>(array.data()), array.nbytes()};
}

NumpyArray to_ndarray(RawBuffer memory, DataType dtype, std::span<const std::uint64_t> shape) {
  const std::vector<std::size_t> extents(shape.begin(), shape.end());
  std::byte* data = memory.release();
  const nb::capsule owner(data, [](void* pointer) noexcept { std::free(pointer); });
  return nb::steal<NumpyArray>(
      nb::cast(nb::ndarray<nb::numpy>(data, extents.size(), extents.data(), owner, nullptr, to_dlpack(dtype)))
          .release());
}

NumpyArray view_ndarray(const void* data, std::uint64_t n, DataType dtype, std::shared_ptr<const void> owner) {
  const std::size_t extent = n;
  const nb::capsule capsule(new std::shared_ptr<const void>(std::move(owner)),
                            [](void* pointer) noexcept { delete static_cast<std::shared_ptr<const void>*>(pointer); });
  return nb::steal<NumpyArray>(
      nb::cast(nb::ndarray<nb::numpy, nb::ro>(data, 1, &extent, capsule, nullptr, to_dlpack(dtype))).release());
}

}  // namespace hox::bindings
