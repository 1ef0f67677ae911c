// The AVX-512 target (VBMI and VBMI2: Ice Lake, Zen 4 and later). Plain twin: block_plain.cc.

#if defined(__x86_64__)

// GCC 12 takes the deliberately undefined operands inside its own intrinsics for mistakes (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "homeobox/codec/kernels/block.h"
#include "homeobox/codec/kernels/pack_bmi2.h"
#include "homeobox/codec/kernels/unpack_tables.h"

namespace hox::codec {
namespace {

constexpr std::uint32_t kLanes = 16;
constexpr std::uint32_t kVectors = kBlockFields / kLanes;

// 16 fields of any width start on a byte, so one table serves every run.
constexpr auto kTable = make_unpack_table<kLanes>([](std::uint32_t i, std::uint32_t width) { return i * width; });

__m512i iota() noexcept { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

// Unpacks runs of 16 fields of one width.
class Unpacker {
 public:
  explicit Unpacker(std::uint32_t width) noexcept
      : width_(width), mask_(_mm512_set1_epi32(static_cast<int>((std::uint64_t{1} << width) - 1))) {
    if (width <= kWidestFourByteField) {
      bytes_ = _mm512_load_si512(kTable.bytes[width].data());
      shifts_ = _mm512_load_si512(kTable.shifts[width].data());
    } else {
      const __m512i first_bits = _mm512_mullo_epi32(iota(), _mm512_set1_epi32(static_cast<int>(width)));
      bytes_ = _mm512_srli_epi32(first_bits, 5);  // word of the first bit
      shifts_ = _mm512_and_si512(first_bits, _mm512_set1_epi32(31));
    }
  }

  // Run `i` of the stream; reads 64 bytes from the run's first.
  __m512i run(const std::byte* stream, std::uint32_t i) const noexcept {
    const __m512i packed = _mm512_loadu_si512(stream + 2 * width_ * i);
    if (width_ <= kWidestFourByteField)
      return _mm512_and_si512(_mm512_srlv_epi32(_mm512_permutexvar_epi8(bytes_, packed), shifts_), mask_);
    const __m512i low = _mm512_permutexvar_epi32(bytes_, packed);
    const __m512i high = _mm512_permutexvar_epi32(_mm512_add_epi32(bytes_, _mm512_set1_epi32(1)), packed);
    return _mm512_and_si512(_mm512_shrdv_epi32(low, high, shifts_), mask_);
  }

 private:
  std::uint32_t width_;
  __m512i mask_;
  __m512i bytes_;
  __m512i shifts_;
};

bool decode(const std::byte* payload, BlockShape shape, std::uint32_t* out) noexcept {
  const Unpacker unpacker(shape.width);
  if (shape.high_width == 0) {
    for (std::uint32_t i = 0; i < kVectors; ++i) _mm512_storeu_si512(out + kLanes * i, unpacker.run(payload, i));
    return shape.exception_bytes == 0;
  }
  const std::byte* const section = payload + 16 * shape.width;
  std::uint16_t octets;
  std::memcpy(&octets, section, sizeof octets);
  const auto n_octets = static_cast<std::uint32_t>(std::popcount(octets));
  if (sizeof octets + n_octets > shape.exception_bytes) return false;
  // One bit per field, two octets to a vector.
  alignas(16) std::uint16_t masks[kVectors];
  const __m128i octet_masks =
      _mm_maskz_expand_epi8(octets, _mm_loadu_si128(reinterpret_cast<const __m128i*>(section + sizeof octets)));
  _mm_store_si128(reinterpret_cast<__m128i*>(masks), octet_masks);
  const auto n_exceptions =
      static_cast<std::uint32_t>(std::popcount(static_cast<std::uint64_t>(_mm_extract_epi64(octet_masks, 0))) +
                                 std::popcount(static_cast<std::uint64_t>(_mm_extract_epi64(octet_masks, 1))));
  if (sizeof octets + n_octets + (n_exceptions * shape.high_width + 7) / 8 != shape.exception_bytes) return false;

  const std::byte* const highs = section + sizeof octets + n_octets;
  const Unpacker high_unpacker(shape.high_width);
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(shape.width));
  if (n_exceptions <= 2 * kLanes) {
    // All exceptions fit in two registers: field k takes the one with its rank.
    const __m512i first = high_unpacker.run(highs, 0);
    const __m512i second = n_exceptions > kLanes ? high_unpacker.run(highs, 1) : first;
    __m512i ranks = iota();
    for (std::uint32_t i = 0; i < kVectors; ++i) {
      const __m512i which = _mm512_maskz_expand_epi32(masks[i], ranks);
      const __m512i high = _mm512_maskz_permutex2var_epi32(masks[i], first, which, second);
      _mm512_storeu_si512(out + kLanes * i, _mm512_or_si512(unpacker.run(payload, i), _mm512_sll_epi32(high, shift)));
      ranks = _mm512_add_epi32(ranks, _mm512_set1_epi32(std::popcount(masks[i])));
    }
    return true;
  }
  alignas(64) std::uint32_t values[kBlockFields + kLanes];
  for (std::uint32_t i = 0; kLanes * i < n_exceptions; ++i)
    _mm512_store_si512(values + kLanes * i, high_unpacker.run(highs, i));
  const std::uint32_t* next = values;
  for (std::uint32_t i = 0; i < kVectors; ++i) {
    const __m512i high = _mm512_maskz_expandloadu_epi32(masks[i], next);
    _mm512_storeu_si512(out + kLanes * i, _mm512_or_si512(unpacker.run(payload, i), _mm512_sll_epi32(high, shift)));
    next += std::popcount(masks[i]);
  }
  return true;
}

// Running sums inside one vector.
__m512i scan(__m512i lanes) noexcept {
  const __m512i zero = _mm512_setzero_si512();
  lanes = _mm512_add_epi32(lanes, _mm512_alignr_epi32(lanes, zero, 15));
  lanes = _mm512_add_epi32(lanes, _mm512_alignr_epi32(lanes, zero, 14));
  lanes = _mm512_add_epi32(lanes, _mm512_alignr_epi32(lanes, zero, 12));
  return _mm512_add_epi32(lanes, _mm512_alignr_epi32(lanes, zero, 8));
}

// Sums are below 2^24 (modulus <= 65,536 and 129 terms below it), where float32 is exact; the quotient is off by at
// most one, which the two minima repair.
struct SmallModulus {
  explicit SmallModulus(std::uint32_t modulus) noexcept
      : modulus_(_mm512_set1_epi32(static_cast<int>(modulus))),
        inverse_(_mm512_set1_ps(1.0F / static_cast<float>(modulus))) {}
  __m512i reduce(__m512i sums) const noexcept {
    const __m512i quotient = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), inverse_));
    __m512i rest = _mm512_sub_epi32(sums, _mm512_mullo_epi32(quotient, modulus_));
    rest = _mm512_min_epu32(rest, _mm512_add_epi32(rest, modulus_));
    return _mm512_min_epu32(rest, _mm512_sub_epi32(rest, modulus_));
  }
  __m512i modulus_;
  __m512 inverse_;
};

void undo_delta(std::uint32_t* fields, std::uint32_t base, std::uint32_t step, std::uint32_t modulus) noexcept {
  const __m512i steps = _mm512_set1_epi32(static_cast<int>(step));
  const __m512i last = _mm512_set1_epi32(kLanes - 1);
  __m512i carry = _mm512_set1_epi32(static_cast<int>(base));
  __m512i sums[kVectors];
  for (std::uint32_t i = 0; i < kVectors; ++i) {
    sums[i] = _mm512_add_epi32(_mm512_loadu_si512(fields + kLanes * i), steps);
    sums[i] = _mm512_add_epi32(scan(sums[i]), carry);
    carry = _mm512_permutexvar_epi32(last, sums[i]);
  }
  const auto total = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(carry)));
  if (std::has_single_bit(modulus)) {
    const __m512i mask = _mm512_set1_epi32(static_cast<int>(modulus - 1));
    for (auto& sum : sums) sum = _mm512_and_si512(sum, mask);
  } else if (modulus != 0 && total >= modulus) {
    const SmallModulus small(modulus);
    for (auto& sum : sums) sum = small.reduce(sum);
  }
  for (std::uint32_t i = 0; i < kVectors; ++i) _mm512_storeu_si512(fields + kLanes * i, sums[i]);
}

void undo_zigzag(std::uint32_t* fields, std::uint32_t base) noexcept {
  const __m512i last = _mm512_set1_epi32(kLanes - 1);
  const __m512i one = _mm512_set1_epi32(1);
  __m512i carry = _mm512_set1_epi32(static_cast<int>(base));
  for (std::uint32_t i = 0; i < kVectors; ++i) {
    const __m512i coded = _mm512_loadu_si512(fields + kLanes * i);
    const __m512i sign = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_and_si512(coded, one));
    const __m512i sums = _mm512_add_epi32(scan(_mm512_xor_si512(_mm512_srli_epi32(coded, 1), sign)), carry);
    carry = _mm512_permutexvar_epi32(last, sums);
    _mm512_storeu_si512(fields + kLanes * i, sums);
  }
}

void to_float32(const std::uint32_t* fields, std::int32_t reference, std::uint32_t n, float* out) noexcept {
  const __m512i references = _mm512_set1_epi32(reference);
  for (std::uint32_t i = 0; i < n; i += kLanes) {
    const auto lanes = static_cast<__mmask16>(n - i >= kLanes ? 0xffff : (1U << (n - i)) - 1);
    const __m512i values = _mm512_add_epi32(_mm512_maskz_loadu_epi32(lanes, fields + i), references);
    _mm512_mask_storeu_ps(out + i, lanes, _mm512_cvtepi32_ps(values));
  }
}

void add(const std::uint32_t* fields, std::uint32_t reference, std::uint32_t n, std::uint32_t* out) noexcept {
  const __m512i references = _mm512_set1_epi32(static_cast<int>(reference));
  for (std::uint32_t i = 0; i < n; i += kLanes) {
    const auto lanes = static_cast<__mmask16>(n - i >= kLanes ? 0xffff : (1U << (n - i)) - 1);
    _mm512_mask_storeu_epi32(out + i, lanes, _mm512_add_epi32(_mm512_maskz_loadu_epi32(lanes, fields + i), references));
  }
}

BlockShape choose_shape(const std::uint32_t* fields) noexcept {
  // Bit lengths of all fields as bytes, four vectors to a register.
  __m512i lengths[2];
  __m512i any = _mm512_setzero_si512();
  for (std::uint32_t half = 0; half < 2; ++half) {
    __m128i quarter[4];
    for (std::uint32_t i = 0; i < 4; ++i) {
      const __m512i lanes = _mm512_loadu_si512(fields + 64 * half + kLanes * i);
      any = _mm512_or_si512(any, lanes);
      quarter[i] = _mm512_cvtepi32_epi8(_mm512_sub_epi32(_mm512_set1_epi32(32), _mm512_lzcnt_epi32(lanes)));
    }
    lengths[half] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(quarter[1], quarter[0])),
                                       _mm256_set_m128i(quarter[3], quarter[2]), 1);
  }
  const auto longest =
      static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint32_t>(_mm512_reduce_or_epi32(any))));
  BlockShape best{longest < kMaxWidth ? longest : kMaxWidth, 0, 0};
  std::uint32_t best_bytes = longest <= kMaxWidth ? 16 * longest : ~0U;
  for (std::uint32_t width = longest; width-- > longest - std::min(longest, kMaxWidth);) {
    const __m512i bound = _mm512_set1_epi8(static_cast<char>(width));
    const std::uint64_t low = _mm512_cmpgt_epu8_mask(lengths[0], bound);
    const std::uint64_t high = _mm512_cmpgt_epu8_mask(lengths[1], bound);
    const __m128i longer = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
    const auto n_longer = static_cast<std::uint32_t>(std::popcount(low) + std::popcount(high));
    const auto octets =
        static_cast<std::uint32_t>(std::popcount(static_cast<std::uint32_t>(_mm_test_epi8_mask(longer, longer))));
    const std::uint32_t high_width = longest - width;
    const std::uint32_t exception_bytes = 2 + octets + (n_longer * high_width + 7) / 8;
    if (exception_bytes >= best_bytes) break;  // narrower fields only have more and longer exceptions
    if (16 * width + exception_bytes >= best_bytes) continue;
    best = {width, high_width, exception_bytes};
    best_bytes = best.payload_bytes();
  }
  return best;
}

void encode(const std::uint32_t* fields, BlockShape shape, std::byte* out) noexcept {
  bmi2::pack(fields, kBlockFields, shape.width, out);
  if (shape.high_width == 0) return;
  std::byte* const section = out + 16 * shape.width;
  const __m512i limit = _mm512_set1_epi32(static_cast<int>((std::uint64_t{1} << shape.width) - 1));
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(shape.width));
  alignas(16) std::uint16_t masks[kVectors];
  alignas(64) std::uint32_t highs[kBlockFields + kLanes];
  std::uint32_t n_exceptions = 0;
  for (std::uint32_t i = 0; i < kVectors; ++i) {
    const __m512i lanes = _mm512_loadu_si512(fields + kLanes * i);
    masks[i] = _mm512_cmpgt_epu32_mask(lanes, limit);
    _mm512_storeu_si512(highs + n_exceptions, _mm512_maskz_compress_epi32(masks[i], _mm512_srl_epi32(lanes, shift)));
    n_exceptions += static_cast<std::uint32_t>(std::popcount(masks[i]));
  }
  _mm512_storeu_si512(highs + n_exceptions, _mm512_setzero_si512());
  const __m128i octet_masks = _mm_load_si128(reinterpret_cast<const __m128i*>(masks));
  const auto octets = static_cast<std::uint16_t>(_mm_test_epi8_mask(octet_masks, octet_masks));
  std::memcpy(section, &octets, sizeof octets);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(section + sizeof octets), _mm_maskz_compress_epi8(octets, octet_masks));
  bmi2::pack(highs, (n_exceptions + 7) / 8 * 8, shape.high_width, section + sizeof octets + std::popcount(octets));
}

}  // namespace

const BlockKernels* avx512_block_kernels() noexcept {
  static constexpr BlockKernels kernels{"avx512",   decode, undo_delta,   undo_zigzag,
                                        to_float32, add,    choose_shape, encode};
  static const bool available = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                                __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512cd") != 0 &&
                                __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vbmi") != 0 &&
                                __builtin_cpu_supports("avx512vbmi2") != 0 && __builtin_cpu_supports("bmi2") != 0;
  return available ? &kernels : nullptr;
}

}  // namespace hox::codec

#else

#include "homeobox/codec/kernels/block.h"

namespace hox::codec {
const BlockKernels* avx512_block_kernels() noexcept { return nullptr; }
}  // namespace hox::codec

#endif
