// NumPy arrays in and out: element types by name or by DLPack, and results handed over without a copy.
#pragma once

#include <nanobind/ndarray.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "homeobox/base/data_type.h"
#include "homeobox/base/error.h"
#include "homeobox/base/raw_buffer.h"

namespace hox::bindings {

inline DataType require_data_type(const std::string& text) {
  const auto dtype = parse_data_type(text);
  if (!dtype) fail<InvalidArgument>("dtype: bool, int8 to uint64 or float16 to float64 expected, found '{}'", text);
  return *dtype;
}

inline nb::dlpack::dtype dlpack_type(DataType dtype) {
  nb::dlpack::dtype result{};
  switch (info(dtype).kind) {
    case 'b':
      result.code = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bool);
      break;
    case 'i':
      result.code = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Int);
      break;
    case 'u':
      result.code = static_cast<std::uint8_t>(nb::dlpack::dtype_code::UInt);
      break;
    default:
      result.code = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float);
  }
  result.bits = static_cast<std::uint8_t>(8 * element_bytes(dtype));
  result.lanes = 1;
  return result;
}

inline DataType data_type_of(nb::dlpack::dtype dtype) {
  for (const DataTypeInfo& entry : kDataTypes)
    if (dlpack_type(entry.type) == dtype) return entry.type;
  fail<InvalidArgument>("dtype: bool, int8 to uint64 or float16 to float64 expected, found code {} of {} bits",
                        static_cast<int>(dtype.code), static_cast<int>(dtype.bits));
}

// An ndarray that owns `memory`. C order.
inline nb::object to_numpy(RawBuffer memory, DataType dtype, const std::vector<std::size_t>& shape) {
  std::byte* const data = memory.release();
  const nb::capsule owner(data, [](void* owned) noexcept { std::free(owned); });
  return nb::cast(nb::ndarray<nb::numpy>(data, shape.size(), shape.data(), owner, nullptr, dlpack_type(dtype)));
}

}  // namespace hox::bindings
