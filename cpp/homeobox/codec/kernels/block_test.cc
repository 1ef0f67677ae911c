#include "homeobox/codec/kernels/block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <random>
#include <vector>

namespace hox::codec {
namespace {

using Fields = std::array<std::uint32_t, kBlockFields>;

std::vector<const BlockKernels*> targets() {
  std::vector<const BlockKernels*> found = {&plain_block_kernels()};
  for (const BlockKernels* const target : {avx2_block_kernels(), avx512_block_kernels(), neon_block_kernels()})
    if (target != nullptr) found.push_back(target);
  return found;
}

std::uint32_t low_bits(std::uint32_t width) { return width == 0 ? 0 : ~0U >> (32 - width); }

// Fields of at most `width` bits, of which about `n_long` have up to `longest`.
Fields make_fields(std::mt19937& random, std::uint32_t width, std::uint32_t longest, std::uint32_t n_long) {
  Fields fields;
  for (std::uint32_t& field : fields) field = static_cast<std::uint32_t>(random()) & low_bits(width);
  for (std::uint32_t i = 0; i < n_long; ++i)
    fields[random() % kBlockFields] = static_cast<std::uint32_t>(random()) & low_bits(longest);
  return fields;
}

std::vector<std::byte> encode(const BlockKernels& target, const Fields& fields, BlockShape shape) {
  std::vector<std::byte> out(shape.payload_bytes() + kPayloadSlack, std::byte{0xa5});
  target.encode(fields.data(), shape, out.data());
  out.resize(shape.payload_bytes());
  return out;
}

Fields decode(const BlockKernels& target, std::vector<std::byte> payload, BlockShape shape) {
  payload.resize(payload.size() + kPayloadSlack, std::byte{0xff});  // what lies behind must not matter
  Fields fields;
  EXPECT_TRUE(target.decode(payload.data(), shape, 0, fields.data())) << target.name;
  Fields sums;
  EXPECT_TRUE(target.decode(payload.data(), shape, 77, sums.data())) << target.name;
  std::array<float, kBlockFields> floats;
  EXPECT_TRUE(target.decode_float32(payload.data(), shape, 77, floats.data())) << target.name;
  for (std::size_t i = 0; i < kBlockFields; ++i) {
    EXPECT_EQ(sums[i], fields[i] + 77);
    EXPECT_EQ(floats[i], static_cast<float>(static_cast<std::int32_t>(sums[i])));
  }
  return fields;
}

class BlockTest : public testing::Test {
 protected:
  void SetUp() override {
    const unsigned seed = std::random_device{}();
    RecordProperty("seed", static_cast<int>(seed));
    SCOPED_TRACE(seed);
    random_.seed(seed);
    std::cout << "seed " << seed << '\n';
  }
  std::mt19937 random_;
};

TEST_F(BlockTest, EveryTargetEqualsThePlainOneForEveryWidthAndNumberOfExceptions) {
  for (std::uint32_t width = 0; width <= 32; ++width) {
    for (std::uint32_t longest = width; longest <= 32; ++longest) {
      for (const std::uint32_t n_long : {0U, 1U, 3U, 15U, 16U, 17U, 31U, 32U, 33U, 60U, 200U}) {
        const Fields fields = make_fields(random_, width, longest, n_long);
        const BlockShape shape = plain_block_kernels().choose_shape(fields.data());
        const std::vector<std::byte> payload = encode(plain_block_kernels(), fields, shape);
        for (const BlockKernels* const target : targets()) {
          const BlockShape chosen = target->choose_shape(fields.data());
          EXPECT_EQ(chosen.payload_bytes(), shape.payload_bytes()) << target->name;
          EXPECT_EQ(encode(*target, fields, shape), payload) << target->name << " width " << shape.width;
          EXPECT_EQ(decode(*target, payload, shape), fields) << target->name << " width " << shape.width;
        }
      }
    }
  }
}

TEST_F(BlockTest, EveryShapeDecodesEvenWhenItIsNotTheCheapest) {
  for (std::uint32_t width = 0; width <= kMaxWidth; ++width) {
    for (std::uint32_t high_width = 1; width + high_width <= 32 && high_width <= 31; ++high_width) {
      const Fields fields =
          make_fields(random_, width, width + high_width, static_cast<std::uint32_t>(random_() % 140));
      const auto n_long = std::count_if(fields.begin(), fields.end(), [&](auto field) { return field >> width != 0; });
      std::uint32_t octets = 0;
      for (std::size_t i = 0; i < kBlockFields; i += 8)
        octets += std::any_of(fields.begin() + i, fields.begin() + i + 8, [&](auto f) { return f >> width != 0; });
      const BlockShape shape{width, high_width, 2 + octets + (static_cast<std::uint32_t>(n_long) * high_width + 7) / 8};
      const std::vector<std::byte> payload = encode(plain_block_kernels(), fields, shape);
      for (const BlockKernels* const target : targets())
        EXPECT_EQ(decode(*target, payload, shape), fields) << target->name << " " << width << "+" << high_width;
    }
  }
}

TEST_F(BlockTest, ExceptionSectionsOfAnotherSizeAreRefusedByEveryTarget) {
  const Fields fields = make_fields(random_, 3, 9, 20);
  const BlockShape shape{3, 6, 0};
  for (const BlockKernels* const target : targets()) {
    for (const std::uint32_t exception_bytes : {0U, 1U, 2U, 500U}) {
      std::vector<std::byte> payload(kMaxPayloadBytes + kPayloadSlack + 512, std::byte{0x5a});
      std::memcpy(payload.data(), fields.data(), 16 * shape.width);  // what follows names exceptions
      Fields out;
      EXPECT_FALSE(target->decode(payload.data(), {shape.width, shape.high_width, exception_bytes}, 0, out.data()));
    }
    EXPECT_FALSE(target->decode(reinterpret_cast<const std::byte*>(fields.data()), {0, 0, 4}, 0, Fields().data()));
  }
}

TEST_F(BlockTest, ArbitraryBytesDecodeAlikeOrAreRefusedByEveryTarget) {
  for (int repeat = 0; repeat < 5000; ++repeat) {
    std::vector<std::byte> payload(kMaxPayloadBytes + 2 * kPayloadSlack);
    for (std::byte& byte : payload) byte = static_cast<std::byte>(random_());
    BlockShape shape{static_cast<std::uint32_t>(random_() % (kMaxWidth + 1)), 0, 0};
    shape.high_width = static_cast<std::uint32_t>(random_() % (std::min(32 - shape.width, kMaxWidth) + 1));
    // Half of the sections have the size that their masks ask for, octets without an exception included.
    std::byte* const section = payload.data() + 16 * shape.width;
    if (repeat % 4 == 0) section[2] = std::byte{0};
    std::uint16_t octets;
    std::memcpy(&octets, section, sizeof octets);
    std::uint32_t n_exceptions = 0;
    for (int i = 0; i < std::popcount(octets); ++i)
      n_exceptions += static_cast<std::uint32_t>(std::popcount(static_cast<std::uint8_t>(section[2 + i])));
    shape.exception_bytes =
        2 + static_cast<std::uint32_t>(std::popcount(octets)) + (n_exceptions * shape.high_width + 7) / 8;
    if (repeat % 2 != 0) shape.exception_bytes += static_cast<std::uint32_t>(random_() % 3) - 1;
    if (repeat % 8 == 7) shape.exception_bytes = 18;  // masks that ask for more than there is
    payload.resize(std::min<std::size_t>(payload.size(), shape.payload_bytes() + kPayloadSlack));
    payload.shrink_to_fit();  // so that a sanitizer sees who reads beyond
    Fields expected;
    const bool accepted = plain_block_kernels().decode(payload.data(), shape, 5, expected.data());
    EXPECT_TRUE(accepted || repeat % 2 != 0 || shape.high_width == 0);
    for (const BlockKernels* const target : targets()) {
      Fields found;
      EXPECT_EQ(target->decode(payload.data(), shape, 5, found.data()), accepted) << target->name;
      if (!accepted) continue;
      EXPECT_EQ(found, expected) << target->name << " " << shape.width << "+" << shape.high_width;
    }
  }
}

TEST_F(BlockTest, DeltasWrapAtEveryKindOfModulus) {
  for (const std::uint32_t modulus : {1U, 2U, 3U, 28U, 100U, 256U, 32738U, 65535U, 65536U, 1U << 20, 1U << 31, 0U}) {
    for (const std::uint32_t step : {0U, 1U}) {
      for (int repeat = 0; repeat < 20; ++repeat) {
        Fields fields;
        const std::uint32_t spread = repeat % 2 == 0 || modulus == 0 ? 5 : modulus;
        for (std::uint32_t& field : fields)
          field = static_cast<std::uint32_t>(random_() % spread) % (modulus == 0 ? ~0U : modulus);
        if (repeat == 0) fields.fill(modulus - 1);
        const std::uint32_t base = static_cast<std::uint32_t>(modulus == 0 ? random_() : random_() % modulus);
        Fields expected = fields;
        plain_block_kernels().undo_delta(expected.data(), base, step, modulus);
        for (const BlockKernels* const target : targets()) {
          Fields found = fields;
          target->undo_delta(found.data(), base, step, modulus);
          EXPECT_EQ(found, expected) << target->name << " modulus " << modulus << " step " << step;
        }
      }
    }
  }
}

// Where a quotient by multiplication is off by one, if anywhere.
TEST_F(BlockTest, EverySmallModulusReducesItsMultiplesAndTheNumbersBelowThem) {
  for (std::uint32_t modulus = 2; modulus <= 65536; ++modulus) {
    Fields deltas;
    deltas.fill(modulus - 1);
    for (const std::uint32_t base : {0U, modulus - 1}) {
      Fields expected;
      expected.fill(base);
      for (const BlockKernels* const target : targets()) {
        Fields found = deltas;
        target->undo_delta(found.data(), base, 1, modulus);
        ASSERT_EQ(found, expected) << target->name << " modulus " << modulus << " base " << base;
      }
    }
    Fields reaches_modulus_last{};
    reaches_modulus_last.back() = 1;
    for (const BlockKernels* const target : targets()) {
      Fields found = reaches_modulus_last;
      target->undo_delta(found.data(), modulus - 1, 0, modulus);
      ASSERT_EQ(found.back(), 0U) << target->name << " modulus " << modulus;
    }
  }
}

TEST_F(BlockTest, ZigzagEqualsThePlainOne) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    const Fields fields = make_fields(random_, static_cast<std::uint32_t>(repeat % 33), 32, repeat % 7);
    const auto base = static_cast<std::uint32_t>(random_());
    Fields expected = fields;
    plain_block_kernels().undo_zigzag(expected.data(), base);
    for (const BlockKernels* const target : targets()) {
      Fields found = fields;
      target->undo_zigzag(found.data(), base);
      EXPECT_EQ(found, expected) << target->name;
    }
  }
}

#if defined(__aarch64__)
TEST(BlockKernels, EveryArmProcessorHasNeon) { EXPECT_NE(neon_block_kernels(), nullptr); }
#endif

}  // namespace
}  // namespace hox::codec
