// The AVX-512 target (VBMI and VBMI2: Ice Lake, Zen 4 and later). Plain twin: block_plain.cc.

#if defined(__x86_64__)

// GCC 12 takes the deliberately undefined operands inside its own intrinsics for mistakes (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <array>
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

// Two bytes hold a field of up to 9 bits wherever it starts in the first.
constexpr std::uint32_t kWidestTwoByteField = 9;
struct NarrowTable {
  alignas(64) std::array<std::array<std::uint8_t, 64>, kWidestTwoByteField + 1> bytes;
  alignas(64) std::array<std::array<std::uint16_t, 32>, kWidestTwoByteField + 1> shifts;
};
constexpr NarrowTable make_narrow_table() {
  NarrowTable table{};
  for (std::uint32_t width = 0; width <= kWidestTwoByteField; ++width) {
    for (std::uint32_t i = 0; i < 32; ++i) {
      table.shifts[width][i] = static_cast<std::uint16_t>(i * width % 8);
      table.bytes[width][2 * i] = static_cast<std::uint8_t>(i * width / 8);
      table.bytes[width][2 * i + 1] = static_cast<std::uint8_t>(i * width / 8 + 1);
    }
  }
  return table;
}
constexpr NarrowTable kNarrowTable = make_narrow_table();
alignas(64) constexpr auto kNarrowIota = [] {
  std::array<std::uint16_t, 32> iota{};
  for (std::uint16_t i = 0; i < 32; ++i) iota[i] = i;
  return iota;
}();

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

// Where the exceptions of a block are, one bit per field, and where their high bits lie.
struct Exceptions {
  __m128i masks;
  std::uint32_t n = 0;
  const std::byte* highs = nullptr;
};

// False when the section contradicts its size. `exceptions` is left without any when the shape has none.
bool find_exceptions(const std::byte* payload, BlockShape shape, Exceptions& exceptions) noexcept {
  exceptions.masks = _mm_setzero_si128();
  if (shape.high_width == 0) return shape.exception_bytes == 0;
  const std::byte* const section = payload + 16 * shape.width;
  std::uint16_t octets;
  std::memcpy(&octets, section, sizeof octets);
  const auto n_octets = static_cast<std::uint32_t>(std::popcount(octets));
  exceptions.masks =
      _mm_maskz_expand_epi8(octets, _mm_loadu_si128(reinterpret_cast<const __m128i*>(section + sizeof octets)));
  exceptions.n =
      static_cast<std::uint32_t>(std::popcount(static_cast<std::uint64_t>(_mm_extract_epi64(exceptions.masks, 0))) +
                                 std::popcount(static_cast<std::uint64_t>(_mm_extract_epi64(exceptions.masks, 1))));
  exceptions.highs = section + sizeof octets + n_octets;
  return sizeof octets + n_octets + (exceptions.n * shape.high_width + 7) / 8 == shape.exception_bytes;
}

// Fields of up to 16 bits: 32 to a vector, half the work of the general form. That is nearly every block of counts and
// of features in stored order.
class NarrowUnpacker {
 public:
  static constexpr std::uint32_t kLanes = 32;
  explicit NarrowUnpacker(std::uint32_t width) noexcept : width_(width), wide_(width) {
    if (width > kWidestTwoByteField) return;
    mask_ = _mm512_set1_epi16(static_cast<short>((1U << width) - 1));
    bytes_ = _mm512_load_si512(kNarrowTable.bytes[width].data());
    shifts_ = _mm512_load_si512(kNarrowTable.shifts[width].data());
  }
  // Run `i` of 32 fields; reads up to 96 bytes from the run's first, 64 for widths up to 9.
  __m512i run(const std::byte* stream, std::uint32_t i) const noexcept {
    if (width_ <= kWidestTwoByteField) {
      const __m512i packed = _mm512_loadu_si512(stream + 4 * width_ * i);
      return _mm512_and_si512(_mm512_srlv_epi16(_mm512_permutexvar_epi8(bytes_, packed), shifts_), mask_);
    }
    const __m256i low = _mm512_cvtepi32_epi16(wide_.run(stream, 2 * i));
    const __m256i high = _mm512_cvtepi32_epi16(wide_.run(stream, 2 * i + 1));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

 private:
  std::uint32_t width_;
  Unpacker wide_;
  __m512i mask_ = _mm512_setzero_si512();
  __m512i bytes_ = _mm512_setzero_si512();
  __m512i shifts_ = _mm512_setzero_si512();
};

// How decoded fields leave their registers.
struct EmitSums {
  EmitSums(std::uint32_t reference, std::uint32_t* out) noexcept
      : references_(_mm512_set1_epi32(static_cast<int>(reference))), out_(out) {}
  void operator()(std::uint32_t at, __m512i lanes) const noexcept {
    _mm512_storeu_si512(out_ + at, _mm512_add_epi32(lanes, references_));
  }
  __m512i references_;
  std::uint32_t* out_;
};
struct EmitFloats {
  EmitFloats(std::uint32_t reference, float* out) noexcept
      : references_(_mm512_set1_epi32(static_cast<int>(reference))), out_(out) {}
  void operator()(std::uint32_t at, __m512i lanes) const noexcept {
    _mm512_storeu_ps(out_ + at, _mm512_cvtepi32_ps(_mm512_add_epi32(lanes, references_)));
  }
  __m512i references_;
  float* out_;
};

template <class Emit>
void emit_widened(const Emit& emit, std::uint32_t at, __m512i lanes) noexcept {
  emit(at, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(lanes)));
  emit(at + kLanes, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(lanes, 1)));
}

template <class Emit>
void decode_narrow(const std::byte* payload, BlockShape shape, const Exceptions& exceptions,
                   const Emit& emit) noexcept {
  constexpr std::uint32_t kRuns = kBlockFields / NarrowUnpacker::kLanes;
  const NarrowUnpacker unpacker(shape.width);
  if (shape.high_width == 0) {
    for (std::uint32_t i = 0; i < kRuns; ++i) emit_widened(emit, NarrowUnpacker::kLanes * i, unpacker.run(payload, i));
    return;
  }
  alignas(16) std::uint32_t masks[kRuns];
  _mm_store_si128(reinterpret_cast<__m128i*>(masks), exceptions.masks);
  const NarrowUnpacker high_unpacker(shape.high_width);
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(shape.width));
  const __m512i first = high_unpacker.run(exceptions.highs, 0);
  if (exceptions.n <= 2 * NarrowUnpacker::kLanes) {
    // All exceptions fit in two registers: field k takes the one with its rank. The second is unpacked even when it is
    // not needed, since a branch on that would be mispredicted half of the time.
    const __m512i second = high_unpacker.run(exceptions.highs, 1);
    __m512i ranks = _mm512_load_si512(kNarrowIota.data());
    for (std::uint32_t i = 0; i < kRuns; ++i) {
      const __m512i which = _mm512_maskz_expand_epi16(masks[i], ranks);
      const __m512i high = _mm512_maskz_permutex2var_epi16(masks[i], first, which, second);
      emit_widened(emit, NarrowUnpacker::kLanes * i,
                   _mm512_or_si512(unpacker.run(payload, i), _mm512_sll_epi16(high, shift)));
      ranks = _mm512_add_epi16(ranks, _mm512_set1_epi16(static_cast<short>(std::popcount(masks[i]))));
    }
    return;
  }
  alignas(64) std::uint16_t values[kBlockFields + NarrowUnpacker::kLanes];
  _mm512_store_si512(values, first);
  for (std::uint32_t i = 1; NarrowUnpacker::kLanes * i < exceptions.n; ++i)
    _mm512_store_si512(values + NarrowUnpacker::kLanes * i, high_unpacker.run(exceptions.highs, i));
  const std::uint16_t* next = values;
  for (std::uint32_t i = 0; i < kRuns; ++i) {
    const __m512i high = _mm512_maskz_expandloadu_epi16(masks[i], next);
    emit_widened(emit, NarrowUnpacker::kLanes * i,
                 _mm512_or_si512(unpacker.run(payload, i), _mm512_sll_epi16(high, shift)));
    next += std::popcount(masks[i]);
  }
}

template <class Emit>
void decode_wide(const std::byte* payload, BlockShape shape, const Exceptions& exceptions, const Emit& emit) noexcept {
  const Unpacker unpacker(shape.width);
  if (exceptions.n == 0) {
    for (std::uint32_t i = 0; i < kVectors; ++i) emit(kLanes * i, unpacker.run(payload, i));
    return;
  }
  alignas(16) std::uint16_t masks[kVectors];
  _mm_store_si128(reinterpret_cast<__m128i*>(masks), exceptions.masks);
  const Unpacker high_unpacker(shape.high_width);
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(shape.width));
  alignas(64) std::uint32_t values[kBlockFields + kLanes];
  for (std::uint32_t i = 0; kLanes * i < exceptions.n; ++i)
    _mm512_store_si512(values + kLanes * i, high_unpacker.run(exceptions.highs, i));
  const std::uint32_t* next = values;
  for (std::uint32_t i = 0; i < kVectors; ++i) {
    const __m512i high = _mm512_maskz_expandloadu_epi32(masks[i], next);
    emit(kLanes * i, _mm512_or_si512(unpacker.run(payload, i), _mm512_sll_epi32(high, shift)));
    next += std::popcount(masks[i]);
  }
}

template <class Emit>
bool decode_block(const std::byte* payload, BlockShape shape, const Emit& emit) noexcept {
  Exceptions exceptions;
  if (!find_exceptions(payload, shape, exceptions)) return false;
  if (shape.width <= kWidestTwoByteField && shape.width + shape.high_width <= 16) {
    decode_narrow(payload, shape, exceptions, emit);
  } else {
    decode_wide(payload, shape, exceptions, emit);
  }
  return true;
}

bool decode(const std::byte* payload, BlockShape shape, std::uint32_t reference, std::uint32_t* out) noexcept {
  return decode_block(payload, shape, EmitSums(reference, out));
}

bool decode_float32(const std::byte* payload, BlockShape shape, std::uint32_t reference, float* out) noexcept {
  return decode_block(payload, shape, EmitFloats(reference, out));
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
  static constexpr BlockKernels kernels{"avx512",    decode,       decode_float32, undo_delta,
                                        undo_zigzag, choose_shape, encode};
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
