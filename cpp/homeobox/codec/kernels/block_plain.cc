// The plain target: portable C++, the definition that the SIMD targets are tested against.

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "homeobox/codec/kernels/block.h"

namespace hox::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "kernels load little-endian words");

constexpr std::uint32_t kOctets = kBlockFields / 8;
constexpr std::size_t kOctetMaskBytes = kOctets / 8;

std::uint64_t load_word(const std::byte* from) noexcept {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// Field `i` of a bit stream of `width`-bit fields; reads up to 8 bytes from the field's first byte.
std::uint32_t field_at(const std::byte* stream, std::uint32_t i, std::uint32_t width) noexcept {
  const std::uint32_t bit = i * width;
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  return static_cast<std::uint32_t>((load_word(stream + bit / 8) >> (bit % 8)) & mask);
}

// Writes bit fields one after another; the last bytes of its 8-byte stores lie beyond the stream.
class BitWriter {
 public:
  explicit BitWriter(std::byte* out) noexcept : out_(out) {}
  void put(std::uint32_t value, std::uint32_t width) noexcept {
    pending_ |= std::uint64_t{value} << n_bits_;
    n_bits_ += width;
    std::memcpy(out_, &pending_, sizeof pending_);
    out_ += n_bits_ / 8;
    pending_ >>= n_bits_ / 8 * 8;
    n_bits_ %= 8;
  }

 private:
  std::byte* out_;
  std::uint64_t pending_ = 0;
  std::uint32_t n_bits_ = 0;
};

bool decode_fields(const std::byte* payload, BlockShape shape, std::uint32_t* out) noexcept {
  for (std::uint32_t i = 0; i < kBlockFields; ++i) out[i] = field_at(payload, i, shape.width);
  if (shape.high_width == 0) return shape.exception_bytes == 0;
  if (shape.exception_bytes < kOctetMaskBytes) return false;

  const std::byte* const section = payload + 16 * shape.width;
  const std::uint32_t octets = static_cast<std::uint32_t>(load_word(section) & 0xffff);
  const std::byte* const masks = section + kOctetMaskBytes;
  const std::byte* const highs = masks + std::popcount(octets);
  const auto n_octets = static_cast<std::uint32_t>(std::popcount(octets));
  if (kOctetMaskBytes + n_octets > shape.exception_bytes) return false;
  std::uint32_t n_exceptions = 0;
  for (std::uint32_t i = 0; i < n_octets; ++i)
    n_exceptions += static_cast<std::uint32_t>(std::popcount(static_cast<std::uint32_t>(masks[i])));
  // Before the first is read: masks may ask for more of them than the payload and its slack hold.
  if (kOctetMaskBytes + n_octets + (n_exceptions * shape.high_width + 7) / 8 != shape.exception_bytes) return false;
  std::uint32_t octet_index = 0;
  std::uint32_t rank = 0;
  for (std::uint32_t octet = 0; octet < kOctets; ++octet) {
    if (((octets >> octet) & 1) == 0) continue;
    for (auto mask = static_cast<std::uint32_t>(masks[octet_index++]); mask != 0; mask &= mask - 1) {
      const auto i = 8 * octet + static_cast<std::uint32_t>(std::countr_zero(mask));
      out[i] |= field_at(highs, rank++, shape.high_width) << shape.width;
    }
  }
  return true;
}

void undo_delta(std::uint32_t* fields, std::uint32_t base, std::uint32_t step, std::uint32_t modulus) noexcept {
  const std::uint64_t wrap = modulus == 0 ? std::uint64_t{1} << 32 : modulus;
  std::uint64_t value = base;
  for (std::uint32_t i = 0; i < kBlockFields; ++i) {
    value += std::uint64_t{fields[i]} + step;
    value %= wrap;
    fields[i] = static_cast<std::uint32_t>(value);
  }
}

void undo_zigzag(std::uint32_t* fields, std::uint32_t base) noexcept {
  for (std::uint32_t i = 0; i < kBlockFields; ++i) {
    base += (fields[i] >> 1) ^ (0U - (fields[i] & 1));
    fields[i] = base;
  }
}

bool decode(const std::byte* payload, BlockShape shape, std::uint32_t reference, std::uint32_t* out) noexcept {
  if (!decode_fields(payload, shape, out)) return false;
  for (std::uint32_t i = 0; i < kBlockFields; ++i) out[i] += reference;
  return true;
}

bool decode_float32(const std::byte* payload, BlockShape shape, std::uint32_t reference, float* out) noexcept {
  std::array<std::uint32_t, kBlockFields> sums;
  if (!decode(payload, shape, reference, sums.data())) return false;
  for (std::uint32_t i = 0; i < kBlockFields; ++i) out[i] = static_cast<float>(static_cast<std::int32_t>(sums[i]));
  return true;
}

BlockShape choose_shape(const std::uint32_t* fields) noexcept {
  // longer[w]: fields, and octets with a field, that need more than w bits.
  std::array<std::uint32_t, 34> fields_of_length{};
  std::array<std::uint32_t, 34> octets_of_length{};
  for (std::uint32_t octet = 0; octet < kOctets; ++octet) {
    std::uint32_t any = 0;
    for (std::uint32_t i = 8 * octet; i < 8 * octet + 8; ++i) {
      ++fields_of_length[static_cast<std::uint32_t>(std::bit_width(fields[i]))];
      any |= fields[i];
    }
    ++octets_of_length[static_cast<std::uint32_t>(std::bit_width(any))];
  }
  std::uint32_t longest = 32;
  while (longest > 0 && fields_of_length[longest] == 0) --longest;

  BlockShape best{std::min(longest, kMaxWidth), 0, 0};
  std::uint32_t n_longer = 0;
  std::uint32_t octets_longer = 0;
  std::uint32_t best_bytes = longest <= kMaxWidth ? 16 * longest : ~0U;
  // From wide to narrow, so that of two equal shapes the one with fewer exceptions wins.
  for (std::uint32_t width = longest; width-- > longest - std::min(longest, kMaxWidth);) {
    n_longer += fields_of_length[width + 1];
    octets_longer += octets_of_length[width + 1];
    const std::uint32_t high_width = longest - width;
    const auto exception_bytes =
        static_cast<std::uint32_t>(kOctetMaskBytes) + octets_longer + (n_longer * high_width + 7) / 8;
    if (16 * width + exception_bytes >= best_bytes) continue;
    best = {width, high_width, exception_bytes};
    best_bytes = best.payload_bytes();
  }
  return best;
}

void encode(const std::uint32_t* fields, BlockShape shape, std::byte* out) noexcept {
  const std::uint32_t mask = shape.width == 0 ? 0 : ~0U >> (32 - shape.width);
  BitWriter low(out);
  for (std::uint32_t i = 0; i < kBlockFields; ++i) low.put(fields[i] & mask, shape.width);
  if (shape.high_width == 0) return;

  std::byte* const section = out + 16 * shape.width;
  std::uint32_t octets = 0;
  std::uint32_t n_octets = 0;
  for (std::uint32_t octet = 0; octet < kOctets; ++octet) {
    std::uint32_t exceptions = 0;
    for (std::uint32_t i = 0; i < 8; ++i)
      exceptions |= static_cast<std::uint32_t>((fields[8 * octet + i] >> shape.width) != 0) << i;
    if (exceptions == 0) continue;
    octets |= 1U << octet;
    section[kOctetMaskBytes + n_octets++] = static_cast<std::byte>(exceptions);
  }
  section[0] = static_cast<std::byte>(octets & 0xff);
  section[1] = static_cast<std::byte>(octets >> 8);
  BitWriter high(section + kOctetMaskBytes + n_octets);
  for (std::uint32_t i = 0; i < kBlockFields; ++i)
    if ((fields[i] >> shape.width) != 0) high.put(fields[i] >> shape.width, shape.high_width);
}

}  // namespace

const BlockKernels& plain_block_kernels() noexcept {
  static constexpr BlockKernels kernels{"plain", decode, decode_float32, undo_delta, undo_zigzag, choose_shape, encode};
  return kernels;
}

}  // namespace hox::codec
