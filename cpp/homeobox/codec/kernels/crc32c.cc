#include "homeobox/codec/kernels/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace hox::codec {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected 0x1edc6f41

constexpr std::array<std::uint32_t, 256> make_byte_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[i] = crc;
  }
  return table;
}
constexpr auto kByteTable = make_byte_table();

#if defined(__x86_64__) || defined(__aarch64__)

// Bytes of each of the three interleaved streams. A packed group of 512 elements is 100 to 400 bytes, so
// the streams are short.
constexpr std::size_t kStreamBytes = 64;

// shift[k][v]: effect of kStreamBytes zero bytes on a CRC register whose byte k is v. Advancing a register over zeros
// is linear, so four look-ups combine the streams.
using ShiftTable = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr std::uint32_t advance_over_zeros(std::uint32_t crc, std::size_t n_bytes) {
  for (std::size_t i = 0; i < n_bytes; ++i) crc = (crc >> 8) ^ kByteTable[crc & 0xff];
  return crc;
}

constexpr ShiftTable make_shift_table() {
  std::array<std::uint32_t, 32> of_bit{};
  for (std::uint32_t bit = 0; bit < 32; ++bit) of_bit[bit] = advance_over_zeros(std::uint32_t{1} << bit, kStreamBytes);
  ShiftTable table{};
  for (std::uint32_t k = 0; k < 4; ++k)
    for (std::uint32_t v = 0; v < 256; ++v)
      for (std::uint32_t bit = 0; bit < 8; ++bit)
        if (((v >> bit) & 1) != 0) table[k][v] ^= of_bit[8 * k + bit];
  return table;
}
constexpr ShiftTable kShift = make_shift_table();

std::uint32_t shift_one_stream(std::uint32_t crc) noexcept {
  return kShift[0][crc & 0xff] ^ kShift[1][(crc >> 8) & 0xff] ^ kShift[2][(crc >> 16) & 0xff] ^ kShift[3][crc >> 24];
}

std::uint64_t load_word(const std::byte* from) noexcept {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

#if defined(__x86_64__)
#define HOX_CRC_TARGET [[gnu::target("sse4.2")]]
HOX_CRC_TARGET inline std::uint32_t step8(std::uint32_t crc, std::uint64_t word) noexcept {
  return static_cast<std::uint32_t>(_mm_crc32_u64(crc, word));
}
HOX_CRC_TARGET inline std::uint32_t step1(std::uint32_t crc, std::byte byte) noexcept {
  return _mm_crc32_u8(crc, static_cast<unsigned char>(byte));
}
bool has_crc_instruction() noexcept { return __builtin_cpu_supports("sse4.2") != 0; }
#else
#if defined(__clang__)
// clang 14 declares the functions of arm_acle.h only where the whole file is compiled for them; its builtins are free.
#define HOX_CRC_TARGET [[gnu::target("crc")]]
#define HOX_CRC_STEP8 __builtin_arm_crc32cd
#define HOX_CRC_STEP1 __builtin_arm_crc32cb
#else
#define HOX_CRC_TARGET [[gnu::target("+crc")]]
#define HOX_CRC_STEP8 __crc32cd
#define HOX_CRC_STEP1 __crc32cb
#endif
HOX_CRC_TARGET inline std::uint32_t step8(std::uint32_t crc, std::uint64_t word) noexcept {
  return HOX_CRC_STEP8(crc, word);
}
HOX_CRC_TARGET inline std::uint32_t step1(std::uint32_t crc, std::byte byte) noexcept {
  return HOX_CRC_STEP1(crc, static_cast<std::uint8_t>(byte));
}
bool has_crc_instruction() noexcept { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#endif

HOX_CRC_TARGET std::uint32_t crc32c_hardware(std::span<const std::byte> bytes, std::uint32_t crc) noexcept {
  const std::byte* at = bytes.data();
  const std::byte* const end = at + bytes.size();
  while (static_cast<std::size_t>(end - at) >= 3 * kStreamBytes) {
    std::uint32_t second = 0;
    std::uint32_t third = 0;
    for (std::size_t i = 0; i < kStreamBytes; i += 8) {
      crc = step8(crc, load_word(at + i));
      second = step8(second, load_word(at + kStreamBytes + i));
      third = step8(third, load_word(at + 2 * kStreamBytes + i));
    }
    crc = shift_one_stream(shift_one_stream(crc) ^ second) ^ third;
    at += 3 * kStreamBytes;
  }
  for (; end - at >= 8; at += 8) crc = step8(crc, load_word(at));
  for (; at != end; ++at) crc = step1(crc, *at);
  return crc;
}

#endif

}  // namespace

std::uint32_t crc32c_plain(std::span<const std::byte> bytes, std::uint32_t crc) noexcept {
  crc = ~crc;
  for (const std::byte byte : bytes) crc = (crc >> 8) ^ kByteTable[(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc) noexcept {
#if defined(__x86_64__) || defined(__aarch64__)
  static const bool hardware = has_crc_instruction();
  if (hardware) return ~crc32c_hardware(bytes, ~crc);
#endif
  return crc32c_plain(bytes, crc);
}

}  // namespace hox::codec
