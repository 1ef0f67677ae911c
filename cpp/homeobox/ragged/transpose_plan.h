// TransposePlan: how large the pieces of one transposition are, so that together they stay within its memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hox::ragged {

struct TransposeShape {
  std::uint64_t n_entries;
  std::uint32_t n_features;
  // All layers together.
  std::size_t value_bytes;
  // What the array writers will hold.
  std::uint64_t writer_bytes;
  // Threads that transpose at the same time.
  std::size_t n_workers;
};

struct TransposePlan {
  // First pass: CSR entries that become one run, and how many runs are made at the same time.
  std::uint64_t block_entries;
  std::size_t window_blocks;
  // Between the passes: bytes of runs that stay in memory.
  std::uint64_t held_bytes;
  // Second pass: CSC entries that are joined and written at the same time, and the features that may hold them.
  std::uint64_t range_entries;
  std::uint32_t range_features;
};

// Works with any amount of memory, with more than it below some 32 MiB.
TransposePlan plan_transpose(const TransposeShape& shape, std::uint64_t memory_bytes);

}  // namespace hox::ragged
