// NumPy arrays in and out: dtypes by name, memory without a copy.
#pragma once

#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "bindings.h"
#include "homeobox/base/data_type.h"
#include "homeobox/base/raw_buffer.h"

namespace hox::bindings {

// A nb::object that is a NumPy array, so that the type stub says so.
class NumpyArray : public nb::object {
  NB_OBJECT_DEFAULT(NumpyArray, nb::object, "numpy.typing.NDArray", PyObject_CheckBuffer)
};

// An array in C order, read only, of any dtype.
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Int64Array = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Throws InvalidArgument for a name that is no dtype of ours.
DataType dtype_from_name(std::string_view name);
// Throws InvalidArgument for a dtype that is not ours.
DataType dtype_of(const AnyArray& array);

std::vector<std::uint64_t> shape_of(const AnyArray& array);
std::span<const std::byte> bytes_of(const AnyArray& array);
inline std::span<const std::int64_t> values_of(const Int64Array& array) { return {array.data(), array.size()}; }

// Hands the memory over; Python frees it.
NumpyArray to_ndarray(RawBuffer memory, DataType dtype, std::span<const std::uint64_t> shape);

// A read-only view of `n` elements at `data`, which `owner` keeps alive.
NumpyArray view_ndarray(const void* data, std::uint64_t n, DataType dtype, std::shared_ptr<const void> owner);

}  // namespace hox::bindings
