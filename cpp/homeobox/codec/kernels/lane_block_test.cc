#include "homeobox/codec/kernels/lane_block.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace hox::codec {
namespace {

using Words = std::array<std::uint32_t, kLaneBlockWords>;

std::uint32_t low_bits(std::uint32_t width) { return width == 0 ? 0 : ~0U >> (32 - width); }

Words make_words(std::mt19937& random, std::uint32_t width) {
  Words words;
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random()) & low_bits(width);
  words[random() % kLaneBlockWords] |= width == 0 ? 0 : 1U << (width - 1);
  return words;
}

// The layout bit by bit: bit b of word v is bit v / 4 * width + b of lane v % 4.
std::vector<std::byte> pack_bit_by_bit(const Words& words, std::uint32_t width) {
  std::vector<std::byte> packed(lane_block_bytes(width));
  for (std::uint32_t v = 0; v < kLaneBlockWords; ++v) {
    for (std::uint32_t b = 0; b < width; ++b) {
      const std::uint32_t bit = v / 4 * width + b;
      const std::uint32_t byte = bit / 32 * 16 + v % 4 * 4 + bit % 32 / 8;
      packed[byte] |= static_cast<std::byte>(((words[v] >> b) & 1) << (bit % 8));
    }
  }
  return packed;
}

TEST(LaneBlock, EveryWidthPacksAsTheLayoutSaysAndBack) {
  std::mt19937 random(11);
  for (std::uint32_t width = 0; width <= kMaxLaneWidth; ++width) {
    const Words words = make_words(random, width);
    EXPECT_EQ(lane_block_width(words.data()), width);
    std::vector<std::byte> packed(lane_block_bytes(width));
    pack_lanes(words.data(), width, packed.data());
    EXPECT_EQ(packed, pack_bit_by_bit(words, width)) << "width " << width;
    Words unpacked;
    unpack_lanes(packed.data(), width, unpacked.data());
    EXPECT_EQ(unpacked, words) << "width " << width;
  }
}

TEST(LaneBlock, RunningSumsWrapAndTheirTotalsAgree) {
  std::mt19937 random(13);
  for (const std::uint32_t width : {0U, 1U, 7U, 20U, 31U, 32U}) {
    const Words words = make_words(random, width);
    const auto previous = static_cast<std::uint32_t>(random());
    Words deltas = words;
    Words zigzags = words;
    const std::uint32_t last_delta = undo_lane_delta(deltas.data(), previous);
    const std::uint32_t last_zigzag = undo_lane_zigzag(zigzags.data(), previous);
    std::uint32_t delta_sum = previous;
    std::uint32_t zigzag_sum = previous;
    for (std::uint32_t i = 0; i < kLaneBlockWords; ++i) {
      delta_sum += words[i];
      zigzag_sum += (words[i] >> 1) ^ (0U - (words[i] & 1));
      ASSERT_EQ(deltas[i], delta_sum);
      ASSERT_EQ(zigzags[i], zigzag_sum);
    }
    EXPECT_EQ(last_delta, delta_sum);
    EXPECT_EQ(last_zigzag, zigzag_sum);
    EXPECT_EQ(previous + sum_lanes(words.data()), delta_sum);
    EXPECT_EQ(previous + sum_zigzag_lanes(words.data()), zigzag_sum);
  }
}

}  // namespace
}  // namespace hox::codec
