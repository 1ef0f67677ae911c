// Block kernels: every target of this processor reads any payload alike, or refuses it alike.
//
// Ten bytes of parameters, then the payload. What was decoded goes on to undo_delta, undo_zigzag and the encoder.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "homeobox/codec/kernels/block.h"

namespace {

using namespace hox::codec;

constexpr std::size_t kParameterBytes = 10;

using Fields = std::array<std::uint32_t, kBlockFields>;

const std::vector<const BlockKernels*>& targets() {
  static const std::vector<const BlockKernels*> list = [] {
    std::vector<const BlockKernels*> found;
    for (const BlockKernels* target : {avx2_block_kernels(), avx512_block_kernels(), neon_block_kernels()})
      if (target != nullptr) found.push_back(target);
    return found;
  }();
  return list;
}

void require(bool holds) {
  if (!holds) std::abort();
}

// The sums of the fields, by every target; false when all refuse.
bool decode(const std::vector<std::byte>& payload, BlockShape shape, std::uint32_t reference, Fields& sums) {
  const BlockKernels& plain = plain_block_kernels();
  std::array<float, kBlockFields> floats;
  const bool valid = plain.decode(payload.data(), shape, reference, sums.data());
  require(plain.decode_float32(payload.data(), shape, reference, floats.data()) == valid);
  for (const BlockKernels* target : targets()) {
    Fields other;
    std::array<float, kBlockFields> other_floats;
    require(target->decode(payload.data(), shape, reference, other.data()) == valid);
    require(target->decode_float32(payload.data(), shape, reference, other_floats.data()) == valid);
    require(!valid || (other == sums && other_floats == floats));
  }
  return valid;
}

// The cheapest packing of `fields` by every target, read again.
void encode(const Fields& fields) {
  const BlockKernels& plain = plain_block_kernels();
  const BlockShape shape = plain.choose_shape(fields.data());
  std::vector<std::byte> payload(shape.payload_bytes() + kPayloadSlack);
  plain.encode(fields.data(), shape, payload.data());
  Fields again;
  require(decode(payload, shape, 0, again) && again == fields);
  for (const BlockKernels* target : targets()) {
    require(target->choose_shape(fields.data()).payload_bytes() == shape.payload_bytes());
    std::vector<std::byte> other(payload.size());
    target->encode(fields.data(), shape, other.data());
    require(std::equal(other.begin(), other.end() - kPayloadSlack, payload.begin()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kParameterBytes) return 0;
  const BlockShape shape{data[0] & 31U, data[1] & 31U, data[2] | (data[3] & 3U) << 8};
  const std::uint32_t step = data[3] >> 7;
  std::uint32_t reference = 0;
  std::uint16_t odd_modulus = 0;
  std::memcpy(&reference, data + 4, sizeof reference);
  std::memcpy(&odd_modulus, data + 8, sizeof odd_modulus);
  if (shape.width + shape.high_width > 32 || shape.payload_bytes() > kMaxPayloadBytes) return 0;
  std::vector<std::byte> payload(shape.payload_bytes() + kPayloadSlack);
  std::memcpy(payload.data(), data + kParameterBytes, std::min(size - kParameterBytes, payload.size()));
  Fields fields;
  if (!decode(payload, shape, reference, fields)) return 0;
  encode(fields);

  // A power of two up to 2^32, or any number of 16 bits, as a header allows them.
  const std::uint32_t power = odd_modulus % 33U;
  const std::uint32_t power_of_two = power == 32 ? 0 : std::uint32_t{1} << power;
  const std::uint32_t modulus = (data[1] & 32) != 0 ? odd_modulus : power_of_two;
  const auto bits = static_cast<std::uint32_t>(std::bit_width(modulus - 1));
  const std::uint32_t mask = bits == 0 ? 0 : ~std::uint32_t{0} >> (32 - bits);
  for (std::uint32_t& field : fields) field &= mask;
  Fields deltas = fields;
  Fields zigzags = fields;
  plain_block_kernels().undo_delta(deltas.data(), reference & mask, step, modulus);
  plain_block_kernels().undo_zigzag(zigzags.data(), reference);
  for (const BlockKernels* target : targets()) {
    Fields other = fields;
    target->undo_delta(other.data(), reference & mask, step, modulus);
    require(other == deltas);
    other = fields;
    target->undo_zigzag(other.data(), reference);
    require(other == zigzags);
  }
  return 0;
}
