// Layout of one chunk encoded by homeobox.bp128, version 1. FORMAT.md, "homeobox.bp128", is the full text.
//
//   header   20 bytes (Header) and their CRC-32C
//   body     by mode:
//     constant             u32 checksum
//     raw, zstd            u32 checksum, then the bytes (zstd: of the byte-shuffled elements)
//     zstd_delta           u32 checksum, then zstd of one byte per delta field
//     plain, delta, zigzag group offsets, then groups of up to 4 blocks that each decode alone
//
// A group is: u32 checksum; one bit-packed entry per block; the blocks' payloads. An entry is width (5 bits), high
// width (5), exception bytes (10) and, for delta and zigzag, the key before the block (base_bits). A checksum is the
// CRC-32C of header, group number and all that follows it in the group, so a group taken from elsewhere does not
// verify.
//
// This file parses and writes the fixed parts. After parse() every size lies inside the chunk.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "homeobox/codec/kernels/block.h"

namespace hox::codec::bp128 {

enum class Mode : std::uint8_t {
  kConstant = 0,   // every element is `reference`
  kRaw = 1,        // elements as they are
  kZstd = 2,       // elements, byte-shuffled, compressed
  kPlain = 3,      // fields are keys
  kDelta = 4,      // fields are (key - previous key - step) mod modulus
  kZigzag = 5,     // fields are zigzag(key - previous key)
  kZstdDelta = 6,  // as delta with modulus <= 256, one byte per field, compressed
};

inline constexpr std::size_t kChecksumBytes = 4;
inline constexpr std::size_t kHeaderBytes = 20 + kChecksumBytes;
// A random cell verifies whole groups: with 8 blocks a cell of 850 counts checks 2.2 times its own bytes and is read 8
// % more slowly than with 4, which cost 0.09 bits per count more.
inline constexpr std::uint32_t kGroupBlocks = 4;
inline constexpr std::uint32_t kGroupElements = kGroupBlocks * kBlockFields;
inline constexpr std::uint32_t kShapeBits = 20;  // width, high width, exception bytes

struct Header {
  Mode mode{};
  std::uint8_t base_bits = 0;     // of the key in an entry; 0 for plain
  std::uint8_t step = 0;          // delta: 0 or 1
  std::uint8_t offset_bytes = 2;  // of one group offset: 2 or 4
  std::uint32_t n_packed = 0;     // elements after these are zero bytes
  std::uint32_t modulus = 0;      // delta: 0 stands for 2^32
  std::uint64_t reference = 0;    // value = reference + key; for constant the element's bytes
  std::uint32_t crc = 0;          // of the above, filled in by parse_header and write_header

  constexpr std::uint64_t n_blocks() const noexcept {
    return (std::uint64_t{n_packed} + kBlockFields - 1) / kBlockFields;
  }
  constexpr std::uint64_t n_groups() const noexcept { return (n_blocks() + kGroupBlocks - 1) / kGroupBlocks; }
  constexpr std::uint32_t entry_bits() const noexcept { return kShapeBits + base_bits; }
  // Of a field or a base: in mode delta as many as the modulus leaves, otherwise all.
  constexpr std::uint32_t field_bits() const noexcept {
    return mode == Mode::kDelta ? static_cast<std::uint32_t>(std::bit_width(modulus - 1)) : 32;
  }
};

void write_header(Header& header, std::byte* out) noexcept;

// Throws CorruptData unless the checksum holds and the fields make sense together for a chunk of `chunk_elements`.
Header parse_header(std::span<const std::byte> encoded, std::uint64_t chunk_elements);

// The fields as they are, checked by nothing; `encoded` holds at least a header.
Header peek_header(std::span<const std::byte> encoded) noexcept;

// Checksum of a group's bytes after the checksum, or of the body of the modes without groups (group 0).
std::uint32_t checksum(const Header& header, std::uint32_t group, std::span<const std::byte> bytes) noexcept;

// What one entry says.
struct Entry {
  BlockShape shape{};
  std::uint32_t base = 0;
};

// Entry `i` of the bit-packed entries at `entries`; reads 8 bytes from the entry's first.
inline Entry read_entry(const std::byte* entries, std::uint32_t i, const Header& header) noexcept {
  const std::uint32_t bit = i * header.entry_bits();
  std::uint64_t bits;
  std::memcpy(&bits, entries + bit / 8, sizeof bits);
  bits >>= bit % 8;  // 20 + 32 bits from any bit of a byte fit in 64
  Entry entry;
  entry.shape.width = static_cast<std::uint32_t>(bits & 31);
  entry.shape.high_width = static_cast<std::uint32_t>((bits >> 5) & 31);
  entry.shape.exception_bytes = static_cast<std::uint32_t>((bits >> 10) & 1023);
  entry.base = static_cast<std::uint32_t>((bits >> kShapeBits) & ((std::uint64_t{1} << header.base_bits) - 1));
  return entry;
}
void write_entry(std::byte* entries, std::uint32_t i, const Header& header, const Entry& entry) noexcept;
constexpr std::size_t entries_bytes(std::uint64_t n_blocks, const Header& header) noexcept {
  return (n_blocks * header.entry_bits() + 7) / 8;
}

}  // namespace hox::codec::bp128
