// The NEON target (every 64-bit Arm processor). Plain twin: block_plain.cc.

#if defined(__aarch64__)

#include <arm_neon.h>

#include <array>
#include <bit>
#include <cstring>

#include "homeobox/codec/kernels/block.h"
#include "homeobox/codec/kernels/unpack_tables.h"

namespace hox::codec {
namespace {

constexpr std::uint32_t kLanes = 4;

// Eight fields of any width start on a byte, four do not, so a run is two vectors.
constexpr std::uint32_t kRunFields = 2 * kLanes;
constexpr std::uint32_t kRuns = kBlockFields / kRunFields;
constexpr auto kTable = make_unpack_table<kRunFields>(first_bit_in_half);

uint8x16_t load_bytes(const std::byte* from) noexcept { return vld1q_u8(reinterpret_cast<const std::uint8_t*>(from)); }

class Unpacker {
 public:
  explicit Unpacker(std::uint32_t width) noexcept
      : width_(width), mask_(vdupq_n_u32(static_cast<std::uint32_t>((std::uint64_t{1} << width) - 1))) {
    if (width > kWidestFourByteField) return;
    for (std::uint32_t half = 0; half < 2; ++half) {
      bytes_[half] = vld1q_u8(kTable.bytes[width].data() + 4 * kLanes * half);
      // NEON shifts right by shifting left by a negative number.
      shifts_[half] = vnegq_s32(vreinterpretq_s32_u32(vld1q_u32(kTable.shifts[width].data() + kLanes * half)));
    }
  }

  // Run `i` of eight fields; reads up to 36 bytes from the run's first.
  uint32x4x2_t run(const std::byte* stream, std::uint32_t i) const noexcept {
    const std::byte* const at = stream + width_ * i;
    if (width_ > kWidestFourByteField) return wide_run(at);
    return {unpack_half(at, 0), unpack_half(at + 4 * width_ / 8, 1)};
  }

 private:
  uint32x4_t unpack_half(const std::byte* at, std::uint32_t half) const noexcept {
    const uint32x4_t words = vreinterpretq_u32_u8(vqtbl1q_u8(load_bytes(at), bytes_[half]));
    return vandq_u32(vshlq_u32(words, shifts_[half]), mask_);
  }

  uint32x4x2_t wide_run(const std::byte* at) const noexcept {
    std::array<std::uint32_t, kRunFields> fields;
    for (std::uint32_t i = 0; i < kRunFields; ++i) {
      std::uint64_t word;
      std::memcpy(&word, at + i * width_ / 8, sizeof word);
      fields[i] = static_cast<std::uint32_t>(word >> (i * width_ % 8));
    }
    return {vandq_u32(vld1q_u32(fields.data()), mask_), vandq_u32(vld1q_u32(fields.data() + kLanes), mask_)};
  }

  std::uint32_t width_;
  uint32x4_t mask_;
  uint8x16_t bytes_[2] = {};
  int32x4_t shifts_[2] = {};
};

void store_run(std::uint32_t* to, uint32x4x2_t run) noexcept {
  vst1q_u32(to, run.val[0]);
  vst1q_u32(to + kLanes, run.val[1]);
}

// Byte shuffle that moves the packed exceptions of four fields to the lanes named by a mask: each set lane takes the
// word with its rank among the set ones. The other lanes index beyond the register, which yields zero.
constexpr auto kPlacements = [] {
  std::array<std::array<std::uint8_t, 16>, 16> placements{};
  for (std::uint32_t mask = 0; mask < 16; ++mask) {
    for (std::uint32_t byte = 0; byte < 16; ++byte) {
      const std::uint32_t lane = byte / 4;
      const auto rank = static_cast<std::uint32_t>(std::popcount(mask & ((1U << lane) - 1)));
      placements[mask][byte] = ((mask >> lane) & 1) == 0 ? 0xff : static_cast<std::uint8_t>(4 * rank + byte % 4);
    }
  }
  return placements;
}();

// The exceptions of the first `n_octets` masks.
std::uint32_t count_exceptions(const std::byte* masks, std::uint32_t n_octets) noexcept {
  constexpr std::array<std::uint8_t, 16> kIota = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const uint8x16_t used = vcltq_u8(vld1q_u8(kIota.data()), vdupq_n_u8(static_cast<std::uint8_t>(n_octets)));
  return vaddvq_u8(vandq_u8(vcntq_u8(load_bytes(masks)), used));
}

bool decode_fields(const std::byte* payload, BlockShape shape, std::uint32_t* out) noexcept {
  const Unpacker unpacker(shape.width);
  for (std::uint32_t i = 0; i < kRuns; ++i) store_run(out + kRunFields * i, unpacker.run(payload, i));
  if (shape.high_width == 0) return shape.exception_bytes == 0;

  const std::byte* const section = payload + 16 * shape.width;
  std::uint16_t octets;
  std::memcpy(&octets, section, sizeof octets);
  const std::byte* const masks = section + sizeof octets;
  const auto n_octets = static_cast<std::uint32_t>(std::popcount(octets));
  const std::uint32_t n_exceptions = count_exceptions(masks, n_octets);
  if (sizeof octets + n_octets + (n_exceptions * shape.high_width + 7) / 8 != shape.exception_bytes) return false;

  std::array<std::uint32_t, kBlockFields + kLanes> highs;
  const Unpacker high_unpacker(shape.high_width);
  for (std::uint32_t i = 0; kRunFields * i < n_exceptions; ++i)
    store_run(highs.data() + kRunFields * i, high_unpacker.run(masks + n_octets, i));
  const int32x4_t shift = vdupq_n_s32(static_cast<std::int32_t>(shape.width));
  const std::uint32_t* next = highs.data();
  std::uint32_t remaining = octets;
  for (std::uint32_t i = 0; i < n_octets; ++i, remaining &= remaining - 1) {
    std::uint32_t* fields = out + 8 * static_cast<std::uint32_t>(std::countr_zero(remaining));
    const auto octet_mask = static_cast<std::uint32_t>(masks[i]);
    for (const std::uint32_t mask : {octet_mask & 15, octet_mask >> 4}) {
      const uint8x16_t packed = vreinterpretq_u8_u32(vld1q_u32(next));
      const uint32x4_t high = vreinterpretq_u32_u8(vqtbl1q_u8(packed, vld1q_u8(kPlacements[mask].data())));
      vst1q_u32(fields, vorrq_u32(vld1q_u32(fields), vshlq_u32(high, shift)));
      next += std::popcount(mask);
      fields += kLanes;
    }
  }
  return true;
}

// Turns the vectors of a block into running sums on top of `carry`; their last sum becomes the new carry. The chain
// from one vector to the next is a single addition.
uint32x4_t add_running_sums(uint32x4_t lanes, uint32x4_t& carry) noexcept {
  const uint32x4_t zero = vdupq_n_u32(0);
  lanes = vaddq_u32(lanes, vextq_u32(zero, lanes, 3));
  lanes = vaddq_u32(lanes, vextq_u32(zero, lanes, 2));
  const uint32x4_t sums = vaddq_u32(lanes, carry);
  carry = vaddq_u32(carry, vdupq_laneq_u32(lanes, 3));
  return sums;
}

// See block_avx512.cc for why float32 is exact here.
struct SmallModulus {
  explicit SmallModulus(std::uint32_t modulus) noexcept
      : modulus_(vdupq_n_u32(modulus)), inverse_(vdupq_n_f32(1.0F / static_cast<float>(modulus))) {}
  uint32x4_t reduce(uint32x4_t sums) const noexcept {
    const uint32x4_t quotient = vcvtq_u32_f32(vmulq_f32(vcvtq_f32_u32(sums), inverse_));
    uint32x4_t rest = vmlsq_u32(sums, quotient, modulus_);
    rest = vminq_u32(rest, vaddq_u32(rest, modulus_));
    return vminq_u32(rest, vsubq_u32(rest, modulus_));
  }
  uint32x4_t modulus_;
  float32x4_t inverse_;
};

void undo_delta(std::uint32_t* fields, std::uint32_t base, std::uint32_t step, std::uint32_t modulus) noexcept {
  const uint32x4_t steps = vdupq_n_u32(step);
  uint32x4_t carry = vdupq_n_u32(base);
  for (std::uint32_t i = 0; i < kBlockFields; i += kLanes)
    vst1q_u32(fields + i, add_running_sums(vaddq_u32(vld1q_u32(fields + i), steps), carry));
  const std::uint32_t total = vgetq_lane_u32(carry, 0);
  if (std::has_single_bit(modulus)) {
    const uint32x4_t mask = vdupq_n_u32(modulus - 1);
    for (std::uint32_t i = 0; i < kBlockFields; i += kLanes)
      vst1q_u32(fields + i, vandq_u32(vld1q_u32(fields + i), mask));
  } else if (modulus != 0 && total >= modulus) {
    const SmallModulus small(modulus);
    for (std::uint32_t i = 0; i < kBlockFields; i += kLanes) vst1q_u32(fields + i, small.reduce(vld1q_u32(fields + i)));
  }
}

void undo_zigzag(std::uint32_t* fields, std::uint32_t base) noexcept {
  const uint32x4_t one = vdupq_n_u32(1);
  uint32x4_t carry = vdupq_n_u32(base);
  for (std::uint32_t i = 0; i < kBlockFields; i += kLanes) {
    const uint32x4_t coded = vld1q_u32(fields + i);
    const uint32x4_t sign = vtstq_u32(coded, one);  // all ones where the difference is negative
    vst1q_u32(fields + i, add_running_sums(veorq_u32(vshrq_n_u32(coded, 1), sign), carry));
  }
}

bool decode(const std::byte* payload, BlockShape shape, std::uint32_t reference, std::uint32_t* out) noexcept {
  if (!decode_fields(payload, shape, out)) return false;
  if (reference == 0) return true;
  const uint32x4_t references = vdupq_n_u32(reference);
  for (std::uint32_t i = 0; i < kBlockFields; i += kLanes)
    vst1q_u32(out + i, vaddq_u32(vld1q_u32(out + i), references));
  return true;
}

bool decode_float32(const std::byte* payload, BlockShape shape, std::uint32_t reference, float* out) noexcept {
  std::array<std::uint32_t, kBlockFields> fields;
  if (!decode_fields(payload, shape, fields.data())) return false;
  const uint32x4_t references = vdupq_n_u32(reference);
  for (std::uint32_t i = 0; i < kBlockFields; i += kLanes) {
    const uint32x4_t sums = vaddq_u32(vld1q_u32(fields.data() + i), references);
    vst1q_f32(out + i, vcvtq_f32_s32(vreinterpretq_s32_u32(sums)));
  }
  return true;
}

}  // namespace

const BlockKernels* neon_block_kernels() noexcept {
  // Arm has no bit extract to pack with, so writing, which happens once, keeps the plain code.
  static const BlockKernels kernels{"neon",
                                    decode,
                                    decode_float32,
                                    undo_delta,
                                    undo_zigzag,
                                    plain_block_kernels().choose_shape,
                                    plain_block_kernels().encode};
  return &kernels;  // NEON is part of the architecture
}

}  // namespace hox::codec

#else

#include "homeobox/codec/kernels/block.h"

namespace hox::codec {
const BlockKernels* neon_block_kernels() noexcept { return nullptr; }
}  // namespace hox::codec

#endif
