// One block of homeobox.bitpacking: 128 words of `width` bits in four interleaved lanes (SIMD-BP128).
//
// Word v sits in lane v % 4 at row v / 4; each lane is a little bit stream of its own, so that one 16-byte row of
// packed data is one vector register. Method: Lemire and Boytsov, "Decoding billions of integers per second through
// vectorization" (2015). Written with compiler vectors, which become SSE2, NEON or plain code.
//
// No allocation, no exceptions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hox::codec {

inline constexpr std::uint32_t kLaneBlockWords = 128;
inline constexpr std::uint32_t kMaxLaneWidth = 32;
constexpr std::size_t lane_block_bytes(std::uint32_t width) noexcept { return 16 * std::size_t{width}; }

// Bits that the widest of 128 words needs.
std::uint32_t lane_block_width(const std::uint32_t* words) noexcept;

// `width` <= 32; `packed` is lane_block_bytes(width) bytes.
void pack_lanes(const std::uint32_t* words, std::uint32_t width, std::byte* packed) noexcept;
void unpack_lanes(const std::byte* packed, std::uint32_t width, std::uint32_t* words) noexcept;

// In place: running sums that start from `previous`; returns the last one. Modulo 2^32.
std::uint32_t undo_lane_delta(std::uint32_t* words, std::uint32_t previous) noexcept;
// The same for zigzag-coded differences.
std::uint32_t undo_lane_zigzag(std::uint32_t* words, std::uint32_t previous) noexcept;
// Sum of all words modulo 2^32: what undo_lane_delta adds to `previous`, without storing anything.
std::uint32_t sum_lanes(const std::uint32_t* words) noexcept;
std::uint32_t sum_zigzag_lanes(const std::uint32_t* words) noexcept;

}  // namespace hox::codec
