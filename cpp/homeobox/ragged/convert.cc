#include "homeobox/ragged/convert.h"

#include <algorithm>

#include "homeobox/base/error.h"

namespace hox::ragged {
namespace {

// Calls visit with a value of the C++ type of `dtype`; float16 has none.
template <class Visit>
void with_type(DataType dtype, Visit visit) {
  switch (dtype) {
    case DataType::kBool:
    case DataType::kUint8:
      return visit(std::uint8_t{});
    case DataType::kInt8:
      return visit(std::int8_t{});
    case DataType::kInt16:
      return visit(std::int16_t{});
    case DataType::kInt32:
      return visit(std::int32_t{});
    case DataType::kInt64:
      return visit(std::int64_t{});
    case DataType::kUint16:
      return visit(std::uint16_t{});
    case DataType::kUint32:
      return visit(std::uint32_t{});
    case DataType::kUint64:
      return visit(std::uint64_t{});
    case DataType::kFloat32:
      return visit(float{});
    case DataType::kFloat64:
      return visit(double{});
    case DataType::kFloat16:
      return;
  }
}

}  // namespace

void check_conversion(DataType from, DataType to) {
  if (from != to && (from == DataType::kFloat16 || to == DataType::kFloat16))
    fail<Unsupported>("joining {} with {}: float16 is not converted", name(from), name(to));
}

void convert(DataType from, const std::byte* in, DataType to, std::byte* out, std::size_t n) {
  check_conversion(from, to);
  if (from == to) {
    std::copy_n(in, n * element_bytes(to), out);
    return;
  }
  with_type(from, [&](auto from_value) {
    using From = decltype(from_value);
    with_type(to, [&](auto to_value) {
      using To = decltype(to_value);
      const auto* const source = reinterpret_cast<const From*>(in);
      auto* const target = reinterpret_cast<To*>(out);
      for (std::size_t i = 0; i < n; ++i) target[i] = static_cast<To>(source[i]);
    });
  });
}

}  // namespace hox::ragged
