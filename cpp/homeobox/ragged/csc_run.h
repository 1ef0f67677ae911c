// CscRun: what one block of CSR entries contributes to every feature. A transposition makes one run per block, keeps
// them, and joins their pieces feature by feature.
//
// A run is a small CSC matrix: for each feature, in layout order, its entries in the block, rows ascending. Rows are
// counted from the block's first, in 16 bits, and values are as narrow as the block's largest allows.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "homeobox/base/page_buffer.h"
#include "homeobox/ragged/range_source.h"

namespace hox::ragged {

// Entries [begin, end) of the CSR arrays; `first_row` holds entry `begin`.
struct EntryBlock {
  std::uint64_t begin;
  std::uint64_t end;
  std::uint64_t first_row;
};

// Blocks of at most `block_entries` that cover all entries and at most as many rows as 16 bits can count. They end at
// multiples of block_entries where rows allow, and may cut a row. `row_bounds` ascends from 0, one more than rows.
std::vector<EntryBlock> split_into_blocks(std::span<const std::int64_t> row_bounds, std::uint64_t block_entries);

struct CscRun {
  std::uint64_t first_row = 0;
  std::uint32_t n_entries = 0;
  // uint32, n_features + 1: where the entries of each feature begin.
  PageBuffer offsets;
  // uint16, n_entries, less first_row.
  PageBuffer rows;
  // One per layer, n_entries of value_bytes[layer] each; see narrow_values.h.
  std::vector<PageBuffer> values;
  std::vector<std::uint8_t> value_bytes;
};

// Transposes blocks, one at a time; owns the memory that this takes. One per worker.
class BlockTransposer {
 public:
  // `local_of_stored` is empty when features are stored in layout order. All must outlive this.
  BlockTransposer(std::span<const std::int64_t> row_bounds, std::uint32_t n_features,
                  std::span<const std::uint32_t> local_of_stored);

  // The sources hold the block's entries. Throws CorruptData for an index that is no feature.
  CscRun transpose(const EntryBlock& block, const RangeSource& indices, std::span<const RangeSource> layers);

 private:
  void count_features(const EntryBlock& block, const RangeSource& indices);
  void decode_indices(const RangeSource& indices, std::uint64_t begin, std::size_t n, std::uint32_t* out);
  void start_features(CscRun& run);
  void place_rows(const EntryBlock& block, CscRun& run);
  void place_layer(const EntryBlock& block, const RangeSource& layer, CscRun& run);
  bool place_narrow(const EntryBlock& block, const RangeSource& layer, CscRun& run);

  std::span<const std::int64_t> row_bounds_;
  std::uint32_t n_features_;
  std::span<const std::uint32_t> local_of_stored_;
  // By stored feature: first the number of its entries in the block, then where its next entry goes.
  std::vector<std::uint32_t> next_;
  // By entry: first its feature, then where it goes. uint32.
  PageBuffer places_memory_;
  std::uint32_t* places_ = nullptr;
  PageBuffer narrow_;  // uint16
  PageBuffer decoded_;
  codec::Scratch scratch_;
  RangeSource::DecodedChunk index_chunk_;
  RangeSource::DecodedChunk layer_chunk_;
};

}  // namespace hox::ragged
