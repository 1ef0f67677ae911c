// One block of 128 unsigned 32-bit fields, packed to `width` bits each, with patched exceptions (PFOR).
//
// Payload of a block:
//   fields      16 * width bytes: field i occupies bits [i * width, (i + 1) * width), least significant bit first
//   exceptions  absent when high_width is 0, else
//     u16 LE    bit g set: some field of octet g (fields 8g .. 8g+7) is an exception
//     bytes     one per set bit: which fields of that octet
//     bits      high_width bits per exception in field order: the field's bits above `width`
//
// The octet masks let every target place all exceptions at once, without a loop over positions. Method: Zukowski et
// al., "Super-Scalar RAM-CPU Cache Compression" (2006) for patching; Lemire and Boytsov (2015) for blocks of 128.
//
// Kernels neither allocate nor throw. Each SIMD target equals the plain one, field for field (block_test.cc).
#pragma once

#include <cstddef>
#include <cstdint>

namespace hox::codec {

inline constexpr std::uint32_t kBlockFields = 128;
inline constexpr std::uint32_t kMaxWidth = 31;  // of fields and of exceptions: both have five bits in an entry
// Bytes that a decoder may read past a payload. Callers see to it that they are addressable.
inline constexpr std::size_t kPayloadSlack = 160;
// 32 bits per field, however they are split between fields and exceptions, and the octet masks.
inline constexpr std::size_t kMaxPayloadBytes = 16 * 32 + 2 + 16;

// How one block is packed. `high_width` 0 means no exceptions; width + high_width <= 32.
struct BlockShape {
  std::uint32_t width;
  std::uint32_t high_width;
  std::uint32_t exception_bytes;
  std::uint32_t payload_bytes() const noexcept { return 16 * width + exception_bytes; }
};

struct BlockKernels {
  const char* name;

  // Writes 128 sums reference + field, modulo 2^32. False when the exception section contradicts its size; then `out`
  // is unspecified.
  bool (*decode)(const std::byte* payload, BlockShape shape, std::uint32_t reference, std::uint32_t* out) noexcept;

  // The same as 32-bit signed integers converted to float.
  bool (*decode_float32)(const std::byte* payload, BlockShape shape, std::uint32_t reference, float* out) noexcept;

  // In place: out[i] = (base + sum of (field[j] + step) for j <= i) mod modulus; modulus 0 stands for 2^32.
  // modulus is a power of two or at most 65,536; base and fields have no more bits than modulus - 1; step is 0 or 1.
  void (*undo_delta)(std::uint32_t* fields, std::uint32_t base, std::uint32_t step, std::uint32_t modulus) noexcept;

  // In place: out[i] = base + sum of unzigzag(field[j]) for j <= i, modulo 2^32.
  void (*undo_zigzag)(std::uint32_t* fields, std::uint32_t base) noexcept;

  // The cheapest shape for these fields.
  BlockShape (*choose_shape)(const std::uint32_t* fields) noexcept;

  // Writes shape.payload_bytes() bytes; may write kPayloadSlack more.
  void (*encode)(const std::uint32_t* fields, BlockShape shape, std::byte* out) noexcept;
};

// The best target that this processor runs; HOX_SIMD=plain|avx2|avx512|neon picks a lower one.
const BlockKernels& block_kernels() noexcept;

const BlockKernels& plain_block_kernels() noexcept;
// nullptr where the build or the processor lacks the target.
const BlockKernels* avx2_block_kernels() noexcept;
const BlockKernels* avx512_block_kernels() noexcept;
const BlockKernels* neon_block_kernels() noexcept;

}  // namespace hox::codec
