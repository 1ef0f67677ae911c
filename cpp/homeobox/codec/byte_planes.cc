#include "homeobox/codec/byte_planes.h"

namespace hox::codec {
namespace {

// Calls visit with the width, as a constant where that lets the compiler turn the loop into vector interleaves.
template <class Visit>
void with_width(std::size_t width, Visit visit) {
  switch (width) {
    case 2:
      return visit([] { return std::size_t{2}; });
    case 4:
      return visit([] { return std::size_t{4}; });
    case 8:
      return visit([] { return std::size_t{8}; });
    default:
      return visit([width] { return width; });
  }
}

}  // namespace

void split_byte_planes(std::span<const std::byte> elements, std::size_t width, std::byte* planes) noexcept {
  with_width(width, [&](auto constant) {
    const std::size_t n = elements.size() / constant();
    const std::byte* const source = elements.data();
    for (std::size_t k = 0; k < constant(); ++k)
      for (std::size_t i = 0; i < n; ++i) planes[k * n + i] = source[i * constant() + k];
  });
}

void join_byte_planes(std::span<const std::byte> planes, std::size_t width, std::byte* elements) noexcept {
  with_width(width, [&](auto constant) {
    const std::size_t n = planes.size() / constant();
    const std::byte* const source = planes.data();
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < constant(); ++k) elements[i * constant() + k] = source[k * n + i];
  });
}

}  // namespace hox::codec
