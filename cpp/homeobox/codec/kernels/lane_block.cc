#include "homeobox/codec/kernels/lane_block.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace hox::codec {
namespace {

// Four 32-bit lanes; the compiler maps it to the target's vector registers.
using Lanes = std::uint32_t __attribute__((vector_size(16)));
constexpr std::uint32_t kRows = kLaneBlockWords / 4;

Lanes load(const void* from) noexcept {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}
void store(void* to, Lanes lanes) noexcept { std::memcpy(to, &lanes, sizeof lanes); }
Lanes broadcast(std::uint32_t value) noexcept { return Lanes{value, value, value, value}; }

template <std::uint32_t kWidth>
constexpr std::uint32_t kFieldMask = kWidth == 32 ? ~0U : (1U << (kWidth % 32)) - 1;

template <std::uint32_t kWidth, std::uint32_t kRow>
[[gnu::always_inline]] inline void unpack_row(const std::byte* packed, std::uint32_t* words) noexcept {
  constexpr std::uint32_t kBit = kRow * kWidth;
  constexpr std::uint32_t kWord = kBit / 32;
  constexpr std::uint32_t kShift = kBit % 32;
  Lanes lanes = load(packed + 16 * kWord) >> kShift;
  if constexpr (kShift + kWidth > 32) lanes |= load(packed + 16 * (kWord + 1)) << (32 - kShift);
  if constexpr (kWidth < 32) lanes &= broadcast(kFieldMask<kWidth>);
  store(words + 4 * kRow, lanes);
}

template <std::uint32_t kWidth>
void unpack(const std::byte* packed, std::uint32_t* words) noexcept {
  if constexpr (kWidth == 0) {
    std::memset(words, 0, kLaneBlockWords * sizeof *words);
  } else {
    [&]<std::uint32_t... kRow>(std::integer_sequence<std::uint32_t, kRow...>) {
      (unpack_row<kWidth, kRow>(packed, words), ...);
    }
    (std::make_integer_sequence<std::uint32_t, kRows>{});
  }
}

template <std::uint32_t kWidth>
void pack(const std::uint32_t* words, std::byte* packed) noexcept {
  if constexpr (kWidth > 0) {
    Lanes pending = broadcast(0);
    [&]<std::uint32_t... kRow>(std::integer_sequence<std::uint32_t, kRow...>) {
      (
          [&] {
            constexpr std::uint32_t kShift = kRow * kWidth % 32;
            const Lanes lanes = load(words + 4 * kRow) & broadcast(kFieldMask<kWidth>);
            pending |= lanes << kShift;
            if constexpr (kShift + kWidth >= 32) {
              store(packed + 16 * (kRow * kWidth / 32), pending);
              if constexpr (kShift + kWidth > 32) {
                pending = lanes >> (32 - kShift);
              } else {
                pending = broadcast(0);
              }
            }
          }(),
          ...);
    }
    (std::make_integer_sequence<std::uint32_t, kRows>{});
  }
}

using Unpack = void (*)(const std::byte*, std::uint32_t*) noexcept;
using Pack = void (*)(const std::uint32_t*, std::byte*) noexcept;
template <std::uint32_t... kWidth>
constexpr std::array<Unpack, sizeof...(kWidth)> unpackers(std::integer_sequence<std::uint32_t, kWidth...>) {
  return {&unpack<kWidth>...};
}
template <std::uint32_t... kWidth>
constexpr std::array<Pack, sizeof...(kWidth)> packers(std::integer_sequence<std::uint32_t, kWidth...>) {
  return {&pack<kWidth>...};
}
using Widths = std::make_integer_sequence<std::uint32_t, kMaxLaneWidth + 1>;
constexpr auto kUnpackers = unpackers(Widths{});
constexpr auto kPackers = packers(Widths{});

Lanes unzigzag(Lanes lanes) noexcept { return (lanes >> 1) ^ (broadcast(0) - (lanes & 1)); }

// Running sums of one row on top of `carry`, whose lanes are all the sum so far.
[[gnu::always_inline]] inline Lanes scan(Lanes lanes, Lanes& carry) noexcept {
  const Lanes zero = broadcast(0);
  lanes += __builtin_shufflevector(zero, lanes, 0, 4, 5, 6);
  lanes += __builtin_shufflevector(zero, lanes, 0, 1, 4, 5);
  const Lanes total = __builtin_shufflevector(lanes, lanes, 3, 3, 3, 3);
  lanes += carry;
  carry += total;
  return lanes;
}

template <bool kZigzag>
std::uint32_t undo(std::uint32_t* words, std::uint32_t previous) noexcept {
  Lanes carry = broadcast(previous);
  for (std::uint32_t row = 0; row < kRows; ++row) {
    Lanes lanes = load(words + 4 * row);
    if constexpr (kZigzag) lanes = unzigzag(lanes);
    store(words + 4 * row, scan(lanes, carry));
  }
  return carry[0];
}

template <bool kZigzag>
std::uint32_t sum(const std::uint32_t* words) noexcept {
  Lanes total = broadcast(0);
  for (std::uint32_t row = 0; row < kRows; ++row) {
    const Lanes lanes = load(words + 4 * row);
    total += kZigzag ? unzigzag(lanes) : lanes;
  }
  return total[0] + total[1] + total[2] + total[3];
}

}  // namespace

std::uint32_t lane_block_width(const std::uint32_t* words) noexcept {
  Lanes any = broadcast(0);
  for (std::uint32_t row = 0; row < kRows; ++row) any |= load(words + 4 * row);
  return static_cast<std::uint32_t>(std::bit_width(any[0] | any[1] | any[2] | any[3]));
}

void pack_lanes(const std::uint32_t* words, std::uint32_t width, std::byte* packed) noexcept {
  kPackers[width](words, packed);
}
void unpack_lanes(const std::byte* packed, std::uint32_t width, std::uint32_t* words) noexcept {
  kUnpackers[width](packed, words);
}
std::uint32_t undo_lane_delta(std::uint32_t* words, std::uint32_t previous) noexcept {
  return undo<false>(words, previous);
}
std::uint32_t undo_lane_zigzag(std::uint32_t* words, std::uint32_t previous) noexcept {
  return undo<true>(words, previous);
}
std::uint32_t sum_lanes(const std::uint32_t* words) noexcept { return sum<false>(words); }
std::uint32_t sum_zigzag_lanes(const std::uint32_t* words) noexcept { return sum<true>(words); }

}  // namespace hox::codec
