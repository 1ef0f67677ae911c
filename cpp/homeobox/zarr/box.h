// Boxes: copying a rectangular part of one C-order array into another.
//
// All extents are elements; `width` is the size of one in bytes. The callers guarantee that the box lies inside both
// arrays. Arrays without axes have one element.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hox::zarr {

// Where a box lies in an array of `shape`.
struct Placement {
  std::span<const std::uint64_t> shape;
  std::span<const std::uint64_t> begin;
};

// Elements before the box's first one, in C order.
std::uint64_t first_element(const Placement& placement);

// Whether the elements of a box with these extents lie one after another in an array of `shape`.
bool is_contiguous(std::span<const std::uint64_t> extents, std::span<const std::uint64_t> shape);

void copy_box(const std::byte* from, const Placement& from_box, std::byte* to, const Placement& to_box,
              std::span<const std::uint64_t> extents, std::size_t width);

// Sets every element of the box to `element`.
void fill_box(std::span<const std::byte> element, std::byte* to, const Placement& to_box,
              std::span<const std::uint64_t> extents);

// Sets `n` elements to `element`.
void fill_elements(std::span<const std::byte> element, std::byte* to, std::uint64_t n);

}  // namespace hox::zarr
