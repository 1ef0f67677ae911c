// The loop of rank.h, compiled once per target. The name of the struct differs per file, so that the linker never takes
// one target's code for another's.
//
// No include guard: included once by each target's file, inside its anonymous namespace.

struct RankLoop {
  static bool run(const std::uint32_t* columns, std::uint32_t n, std::uint64_t* bits, std::uint32_t* below,
                  std::uint32_t n_words, std::uint32_t* places) noexcept {
    for (std::uint32_t i = 0; i < n; ++i) bits[columns[i] / 64] |= std::uint64_t{1} << (columns[i] % 64);
    std::uint32_t total = 0;
    for (std::uint32_t word = 0; word < n_words; ++word) {
      below[word] = total;
      total += static_cast<std::uint32_t>(__builtin_popcountll(bits[word]));
    }
    if (total == n) {
      for (std::uint32_t i = 0; i < n; ++i) {
        const std::uint32_t word = columns[i] / 64;
        const std::uint64_t lower = (std::uint64_t{1} << (columns[i] % 64)) - 1;
        places[i] = below[word] + static_cast<std::uint32_t>(__builtin_popcountll(bits[word] & lower));
      }
    }
    for (std::uint32_t word = 0; word < n_words; ++word) bits[word] = 0;
    return total == n;
  }
};
