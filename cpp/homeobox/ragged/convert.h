// Conversion of elements between data types, for results that join groups of different dtypes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "homeobox/base/data_type.h"

namespace hox::ragged {

// Throws Unsupported for float16 to or from another type.
void check_conversion(DataType from, DataType to);

// `n` elements; `in` and `out` are aligned for their types and do not overlap. C++ conversion rules; the caller picks a
// type that holds every value (numpy.result_type).
void convert(DataType from, const std::byte* in, DataType to, std::byte* out, std::size_t n);

}  // namespace hox::ragged
