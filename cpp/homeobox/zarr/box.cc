#include "homeobox/zarr/box.h"

#include <algorithm>
#include <cstring>

namespace hox::zarr {
namespace {

// Axes from `first` on are whole in both arrays, so a run of the box covers them and the axis before.
std::size_t first_whole_axis(std::span<const std::uint64_t> extents, std::span<const std::uint64_t> a,
                             std::span<const std::uint64_t> b) {
  std::size_t axis = extents.size();
  while (axis > 0 && extents[axis - 1] == a[axis - 1] && extents[axis - 1] == b[axis - 1]) --axis;
  return axis;
}

std::vector<std::uint64_t> strides_of(std::span<const std::uint64_t> shape) {
  std::vector<std::uint64_t> strides(shape.size());
  std::uint64_t stride = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

// Calls body(from_element, to_element, run_elements) for every contiguous run of the box.
template <class Body>
void for_each_run(const Placement& from, const Placement& to, std::span<const std::uint64_t> extents,
                  const Body& body) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : extents) elements *= extent;
  if (elements == 0) return;
  const std::size_t whole = first_whole_axis(extents, from.shape, to.shape);
  const std::size_t outer = whole == 0 ? 0 : whole - 1;  // axes walked one by one
  std::uint64_t run = 1;
  for (std::size_t axis = outer; axis < extents.size(); ++axis) run *= extents[axis];
  const std::vector<std::uint64_t> from_strides = strides_of(from.shape);
  const std::vector<std::uint64_t> to_strides = strides_of(to.shape);
  std::uint64_t from_element = first_element(from);
  std::uint64_t to_element = first_element(to);
  std::vector<std::uint64_t> position(outer, 0);
  while (true) {
    body(from_element, to_element, run);
    std::size_t axis = outer;
    while (axis > 0) {
      --axis;
      from_element += from_strides[axis];
      to_element += to_strides[axis];
      if (++position[axis] < extents[axis]) break;
      from_element -= extents[axis] * from_strides[axis];
      to_element -= extents[axis] * to_strides[axis];
      position[axis] = 0;
      if (axis == 0) return;
    }
    if (outer == 0) return;
  }
}

}  // namespace

std::uint64_t first_element(const Placement& placement) {
  std::uint64_t element = 0;
  for (std::size_t axis = 0; axis < placement.shape.size(); ++axis)
    element = element * placement.shape[axis] + placement.begin[axis];
  return element;
}

bool is_contiguous(std::span<const std::uint64_t> extents, std::span<const std::uint64_t> shape) {
  std::size_t axis = 0;
  while (axis < extents.size() && extents[axis] == 1) ++axis;
  for (++axis; axis < extents.size(); ++axis)
    if (extents[axis] != shape[axis]) return false;
  return true;
}

void copy_box(const std::byte* from, const Placement& from_box, std::byte* to, const Placement& to_box,
              std::span<const std::uint64_t> extents, std::size_t width) {
  for_each_run(from_box, to_box, extents, [&](std::uint64_t from_element, std::uint64_t to_element, std::uint64_t run) {
    std::memcpy(to + to_element * width, from + from_element * width, run * width);
  });
}

void fill_box(std::span<const std::byte> element, std::byte* to, const Placement& to_box,
              std::span<const std::uint64_t> extents) {
  for_each_run(to_box, to_box, extents, [&](std::uint64_t, std::uint64_t to_element, std::uint64_t run) {
    fill_elements(element, to + to_element * element.size(), run);
  });
}

void fill_elements(std::span<const std::byte> element, std::byte* to, std::uint64_t n) {
  const std::size_t width = element.size();
  const bool one_byte = std::all_of(element.begin(), element.end(), [&](std::byte b) { return b == element[0]; });
  if (one_byte) {
    if (n > 0) std::memset(to, std::to_integer<int>(element[0]), n * width);
    return;
  }
  for (std::uint64_t i = 0; i < n; ++i) std::memcpy(to + i * width, element.data(), width);
}

}  // namespace hox::zarr
