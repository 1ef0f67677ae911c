// The AVX2 target (with BMI2: Haswell, Zen and later). Plain twin: block_plain.cc.

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstring>

#include "homeobox/codec/kernels/block.h"
#include "homeobox/codec/kernels/pack_bmi2.h"
#include "homeobox/codec/kernels/unpack_tables.h"

namespace hox::codec {
namespace {

constexpr std::uint32_t kLanes = 8;
constexpr std::uint32_t kVectors = kBlockFields / kLanes;

constexpr auto kTable = make_unpack_table<kLanes>(first_bit_in_half);

class Unpacker {
 public:
  explicit Unpacker(std::uint32_t width) noexcept
      : width_(width), mask_(_mm256_set1_epi32(static_cast<int>((std::uint64_t{1} << width) - 1))) {
    if (width > kWidestFourByteField) return;
    bytes_ = _mm256_load_si256(reinterpret_cast<const __m256i*>(kTable.bytes[width].data()));
    shifts_ = _mm256_load_si256(reinterpret_cast<const __m256i*>(kTable.shifts[width].data()));
  }

  // Run `i` of eight fields; reads up to 32 bytes from the run's first.
  __m256i run(const std::byte* stream, std::uint32_t i) const noexcept {
    const std::byte* const at = stream + width_ * i;
    if (width_ > kWidestFourByteField) return wide_run(at);
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 4 * width_ / 8));
    const __m256i words = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), bytes_);
    return _mm256_and_si256(_mm256_srlv_epi32(words, shifts_), mask_);
  }

 private:
  __m256i wide_run(const std::byte* at) const noexcept {
    alignas(32) std::array<std::uint32_t, kLanes> fields;
    for (std::uint32_t i = 0; i < kLanes; ++i) {
      std::uint64_t word;
      std::memcpy(&word, at + i * width_ / 8, sizeof word);
      fields[i] = static_cast<std::uint32_t>(word >> (i * width_ % 8));
    }
    return _mm256_and_si256(_mm256_load_si256(reinterpret_cast<const __m256i*>(fields.data())), mask_);
  }

  std::uint32_t width_;
  __m256i mask_;
  __m256i bytes_ = _mm256_setzero_si256();
  __m256i shifts_ = _mm256_setzero_si256();
};

__m256i load(const std::uint32_t* from) noexcept { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
void store(std::uint32_t* to, __m256i lanes) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), lanes); }

// Rank of each set bit of an octet mask: the lane of the packed exceptions that the field takes.
constexpr auto kRanks = [] {
  std::array<std::array<std::uint8_t, 8>, 256> ranks{};
  for (std::uint32_t mask = 0; mask < 256; ++mask)
    for (std::uint32_t lane = 0; lane < 8; ++lane)
      ranks[mask][lane] = static_cast<std::uint8_t>(std::popcount(mask & ((1U << lane) - 1)));
  return ranks;
}();

bool decode_fields(const std::byte* payload, BlockShape shape, std::uint32_t* out) noexcept {
  const Unpacker unpacker(shape.width);
  for (std::uint32_t i = 0; i < kVectors; ++i) store(out + kLanes * i, unpacker.run(payload, i));
  if (shape.high_width == 0) return shape.exception_bytes == 0;

  const std::byte* const section = payload + 16 * shape.width;
  std::uint16_t octets;
  std::memcpy(&octets, section, sizeof octets);
  const std::byte* const masks = section + sizeof octets;
  const auto n_octets = static_cast<std::uint32_t>(std::popcount(octets));
  if (sizeof octets + n_octets > shape.exception_bytes) return false;
  std::uint32_t n_exceptions = 0;
  for (std::uint32_t i = 0; i < n_octets; ++i)
    n_exceptions += static_cast<std::uint32_t>(std::popcount(static_cast<std::uint8_t>(masks[i])));
  if (sizeof octets + n_octets + (n_exceptions * shape.high_width + 7) / 8 != shape.exception_bytes) return false;

  alignas(32) std::array<std::uint32_t, kBlockFields + kLanes> highs;
  const Unpacker high_unpacker(shape.high_width);
  for (std::uint32_t i = 0; kLanes * i < n_exceptions; ++i)
    store(highs.data() + kLanes * i, high_unpacker.run(masks + n_octets, i));
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(shape.width));
  const __m256i lane_bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const std::uint32_t* next = highs.data();
  std::uint32_t remaining = octets;
  for (std::uint32_t i = 0; i < n_octets; ++i, remaining &= remaining - 1) {
    const auto octet = static_cast<std::uint32_t>(std::countr_zero(remaining));
    const auto mask = static_cast<std::uint8_t>(masks[i]);
    const __m256i bits = _mm256_and_si256(_mm256_set1_epi32(mask), lane_bits);
    const __m256i ranks = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kRanks[mask].data())));
    const __m256i high =
        _mm256_and_si256(_mm256_permutevar8x32_epi32(load(next), ranks), _mm256_cmpeq_epi32(bits, lane_bits));
    std::uint32_t* const fields = out + kLanes * octet;
    store(fields, _mm256_or_si256(load(fields), _mm256_sll_epi32(high, shift)));
    next += std::popcount(mask);
  }
  return true;
}

// Running sums inside one vector.
__m256i scan(__m256i lanes) noexcept {
  lanes = _mm256_add_epi32(lanes, _mm256_slli_si256(lanes, 4));
  lanes = _mm256_add_epi32(lanes, _mm256_slli_si256(lanes, 8));
  const __m256i low_half = _mm256_permute2x128_si256(lanes, lanes, 0x08);  // low half moved up, zero below
  return _mm256_add_epi32(lanes, _mm256_shuffle_epi32(low_half, 0xff));
}

// See block_avx512.cc for why float32 is exact here.
struct SmallModulus {
  explicit SmallModulus(std::uint32_t modulus) noexcept
      : modulus_(_mm256_set1_epi32(static_cast<int>(modulus))),
        inverse_(_mm256_set1_ps(1.0F / static_cast<float>(modulus))) {}
  __m256i reduce(__m256i sums) const noexcept {
    const __m256i quotient = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), inverse_));
    __m256i rest = _mm256_sub_epi32(sums, _mm256_mullo_epi32(quotient, modulus_));
    rest = _mm256_min_epu32(rest, _mm256_add_epi32(rest, modulus_));
    return _mm256_min_epu32(rest, _mm256_sub_epi32(rest, modulus_));
  }
  __m256i modulus_;
  __m256 inverse_;
};

void undo_delta(std::uint32_t* fields, std::uint32_t base, std::uint32_t step, std::uint32_t modulus) noexcept {
  const __m256i steps = _mm256_set1_epi32(static_cast<int>(step));
  const __m256i last = _mm256_set1_epi32(kLanes - 1);
  __m256i carry = _mm256_set1_epi32(static_cast<int>(base));
  for (std::uint32_t i = 0; i < kVectors; ++i) {
    const __m256i sums = _mm256_add_epi32(scan(_mm256_add_epi32(load(fields + kLanes * i), steps)), carry);
    carry = _mm256_permutevar8x32_epi32(sums, last);
    store(fields + kLanes * i, sums);
  }
  const auto total = static_cast<std::uint32_t>(_mm256_cvtsi256_si32(carry));
  if (std::has_single_bit(modulus)) {
    const __m256i mask = _mm256_set1_epi32(static_cast<int>(modulus - 1));
    for (std::uint32_t i = 0; i < kVectors; ++i)
      store(fields + kLanes * i, _mm256_and_si256(load(fields + kLanes * i), mask));
  } else if (modulus != 0 && total >= modulus) {
    const SmallModulus small(modulus);
    for (std::uint32_t i = 0; i < kVectors; ++i) store(fields + kLanes * i, small.reduce(load(fields + kLanes * i)));
  }
}

void undo_zigzag(std::uint32_t* fields, std::uint32_t base) noexcept {
  const __m256i last = _mm256_set1_epi32(kLanes - 1);
  const __m256i one = _mm256_set1_epi32(1);
  __m256i carry = _mm256_set1_epi32(static_cast<int>(base));
  for (std::uint32_t i = 0; i < kVectors; ++i) {
    const __m256i coded = load(fields + kLanes * i);
    const __m256i sign = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_and_si256(coded, one));
    const __m256i sums = _mm256_add_epi32(scan(_mm256_xor_si256(_mm256_srli_epi32(coded, 1), sign)), carry);
    carry = _mm256_permutevar8x32_epi32(sums, last);
    store(fields + kLanes * i, sums);
  }
}

bool decode(const std::byte* payload, BlockShape shape, std::uint32_t reference, std::uint32_t* out) noexcept {
  if (!decode_fields(payload, shape, out)) return false;
  if (reference == 0) return true;
  const __m256i references = _mm256_set1_epi32(static_cast<int>(reference));
  for (std::uint32_t i = 0; i < kBlockFields; i += kLanes) store(out + i, _mm256_add_epi32(load(out + i), references));
  return true;
}

bool decode_float32(const std::byte* payload, BlockShape shape, std::uint32_t reference, float* out) noexcept {
  alignas(32) std::array<std::uint32_t, kBlockFields> fields;
  if (!decode_fields(payload, shape, fields.data())) return false;
  const __m256i references = _mm256_set1_epi32(static_cast<int>(reference));
  for (std::uint32_t i = 0; i < kBlockFields; i += kLanes)
    _mm256_storeu_ps(out + i, _mm256_cvtepi32_ps(_mm256_add_epi32(load(fields.data() + i), references)));
  return true;
}

void encode(const std::uint32_t* fields, BlockShape shape, std::byte* out) noexcept {
  bmi2::pack(fields, kBlockFields, shape.width, out);
  if (shape.high_width == 0) return;
  std::byte* const section = out + 16 * shape.width;
  std::byte* masks = section + sizeof(std::uint16_t);
  std::array<std::uint32_t, kBlockFields + kLanes> highs;
  std::uint32_t n_exceptions = 0;
  std::uint32_t octets = 0;
  for (std::uint32_t octet = 0; octet < kBlockFields / 8; ++octet) {
    std::uint32_t mask = 0;
    for (std::uint32_t i = 0; i < 8; ++i) {
      const std::uint32_t high = fields[8 * octet + i] >> shape.width;
      highs[n_exceptions] = high;
      n_exceptions += static_cast<std::uint32_t>(high != 0);
      mask |= static_cast<std::uint32_t>(high != 0) << i;
    }
    if (mask == 0) continue;
    octets |= 1U << octet;
    *masks++ = static_cast<std::byte>(mask);
  }
  const auto stored_octets = static_cast<std::uint16_t>(octets);
  std::memcpy(section, &stored_octets, sizeof stored_octets);
  std::memset(highs.data() + n_exceptions, 0, kLanes * sizeof highs[0]);
  bmi2::pack(highs.data(), (n_exceptions + 7) / 8 * 8, shape.high_width, masks);
}

}  // namespace

const BlockKernels* avx2_block_kernels() noexcept {
  // The histogram of the plain shape search is already cheap beside the packing.
  static const BlockKernels kernels{
      "avx2", decode, decode_float32, undo_delta, undo_zigzag, plain_block_kernels().choose_shape, encode};
  static const bool available = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi2") != 0;
  return available ? &kernels : nullptr;
}

}  // namespace hox::codec

#else

#include "homeobox/codec/kernels/block.h"

namespace hox::codec {
const BlockKernels* avx2_block_kernels() noexcept { return nullptr; }
}  // namespace hox::codec

#endif
