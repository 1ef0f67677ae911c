// Rank of each column of a sparse row: where it goes when the row is put into ascending order.
//
// Sets one bit per column, counts the bits below each word, then the bits below each column. Linear in entries and
// words. The target with a population count instruction is chosen at run time; no allocation, no exceptions.
#pragma once

#include <cstdint>

namespace hox::ragged {

// `bits` (n_words zeros, zeros again on return) and `below` (n_words) are scratch; every column is below 64 * n_words.
// Writes places[i] for the n columns. False when a column repeats; then `places` is unspecified.
using RankColumns = bool (*)(const std::uint32_t* columns, std::uint32_t n, std::uint64_t* bits, std::uint32_t* below,
                             std::uint32_t n_words, std::uint32_t* places) noexcept;

RankColumns rank_columns() noexcept;
RankColumns plain_rank_columns() noexcept;
// nullptr where the build or the processor lacks it.
RankColumns avx2_rank_columns() noexcept;

}  // namespace hox::ragged
