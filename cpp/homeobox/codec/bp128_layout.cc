#include "homeobox/codec/bp128_layout.h"

#include <bit>
#include <cstring>

#include "homeobox/base/error.h"
#include "homeobox/codec/kernels/crc32c.h"

namespace hox::codec::bp128 {
namespace {

constexpr std::uint32_t kLargestOddModulus = 65536;

template <class T>
T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void store(std::byte* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

void check_packed(const Header& header) {
  const bool delta = header.mode == Mode::kDelta;
  const bool needs_base = header.mode != Mode::kPlain;
  if (header.offset_bytes != 2 && header.offset_bytes != 4)
    fail<CorruptData>("bp128 header: group offsets of 2 or 4 bytes expected, {} found", header.offset_bytes);
  if (header.step > (delta ? 1 : 0)) fail<CorruptData>("bp128 header: step {}", header.step);
  if (!delta && header.modulus != 0)
    fail<CorruptData>("bp128 header: modulus {} in a mode without one", header.modulus);
  if (delta && header.modulus > kLargestOddModulus && !std::has_single_bit(header.modulus))
    fail<CorruptData>("bp128 header: modulus {} is neither a power of two nor at most {}", header.modulus,
                      kLargestOddModulus);
  if (header.base_bits > header.field_bits() || (!needs_base && header.base_bits != 0))
    fail<CorruptData>("bp128 header: {} bits for a block's base", header.base_bits);
}

}  // namespace

void write_header(Header& header, std::byte* out) noexcept {
  store(out, static_cast<std::uint8_t>(header.mode));
  store(out + 1, header.base_bits);
  store(out + 2, header.step);
  store(out + 3, header.offset_bytes);
  store(out + 4, header.n_packed);
  store(out + 8, header.modulus);
  store(out + 12, header.reference);
  header.crc = crc32c({out, kHeaderBytes - kChecksumBytes});
  store(out + kHeaderBytes - kChecksumBytes, header.crc);
}

Header peek_header(std::span<const std::byte> encoded) noexcept {
  const std::byte* const in = encoded.data();
  Header header;
  header.mode = static_cast<Mode>(load<std::uint8_t>(in));
  header.base_bits = load<std::uint8_t>(in + 1);
  header.step = load<std::uint8_t>(in + 2);
  header.offset_bytes = load<std::uint8_t>(in + 3);
  header.n_packed = load<std::uint32_t>(in + 4);
  header.modulus = load<std::uint32_t>(in + 8);
  header.reference = load<std::uint64_t>(in + 12);
  header.crc = load<std::uint32_t>(in + kHeaderBytes - kChecksumBytes);
  return header;
}

Header parse_header(std::span<const std::byte> encoded, std::uint64_t chunk_elements) {
  if (encoded.size() < kHeaderBytes + kChecksumBytes)
    fail<CorruptData>("bp128 chunk: {} bytes, shorter than its header", encoded.size());
  const std::byte* in = encoded.data();
  const auto stored_crc = load<std::uint32_t>(in + kHeaderBytes - kChecksumBytes);
  const std::uint32_t crc = crc32c({in, kHeaderBytes - kChecksumBytes});
  if (crc != stored_crc) [[unlikely]]
    fail<CorruptData>("bp128 header: checksum {:08x} expected, {:08x} found", stored_crc, crc);
  const Header header = peek_header(encoded);
  if (header.mode > Mode::kZstdDelta)
    fail<CorruptData>("bp128 header: unknown mode {}", static_cast<unsigned>(header.mode));
  if (header.n_packed > chunk_elements)
    fail<CorruptData>("bp128 header: {} elements in a chunk of {}", header.n_packed, chunk_elements);
  switch (header.mode) {
    case Mode::kPlain:
    case Mode::kDelta:
    case Mode::kZigzag:
      check_packed(header);
      break;
    case Mode::kZstdDelta:
      if (header.step > 1 || header.modulus == 0 || header.modulus > 256)
        fail<CorruptData>("bp128 header: step {} and modulus {} in mode zstd_delta", header.step, header.modulus);
      break;
    case Mode::kConstant:
    case Mode::kRaw:
    case Mode::kZstd:
      break;
  }
  return header;
}

std::uint32_t checksum(const Header& header, std::uint32_t group, std::span<const std::byte> bytes) noexcept {
  return crc32c(bytes, crc32c(std::as_bytes(std::span(&group, 1)), header.crc));
}

void write_entry(std::byte* entries, std::uint32_t i, const Header& header, const Entry& entry) noexcept {
  const std::uint32_t bit = i * header.entry_bits();
  std::uint64_t bits = entry.shape.width | std::uint64_t{entry.shape.high_width} << 5 |
                       std::uint64_t{entry.shape.exception_bytes} << 10 | std::uint64_t{entry.base} << kShapeBits;
  // Entries are written in order, so the bits below are final and those above still zero.
  bits = (bits << (bit % 8)) | load<std::uint8_t>(entries + bit / 8);
  store(entries + bit / 8, bits);
}

}  // namespace hox::codec::bp128
