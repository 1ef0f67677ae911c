// Byte planes: the first byte of every element, then every second byte, and so on. Bytes of one significance resemble
// each other, which is what a general compressor finds.
#pragma once

#include <cstddef>
#include <span>

namespace hox::codec {

// Elements of `width` bytes to planes and back. The length is a multiple of `width`; the two do not overlap.
void split_byte_planes(std::span<const std::byte> elements, std::size_t width, std::byte* planes) noexcept;
void join_byte_planes(std::span<const std::byte> planes, std::size_t width, std::byte* elements) noexcept;

}  // namespace hox::codec
