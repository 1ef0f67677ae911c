// CscMerge: joins the runs of a transposition feature by feature, one range of the result at a time.
//
// A range is some whole features in all runs, or, where one feature alone is too large, this feature in some of the
// runs. Ranges one after another are the entries of the whole CSC matrix in order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "homeobox/base/data_type.h"
#include "homeobox/ragged/run_store.h"

namespace hox::ragged {

struct CscRange {
  std::uint32_t feature_begin;
  std::uint32_t feature_end;
  std::size_t run_begin;
  std::size_t run_end;
  std::uint64_t n_entries;
};

// Ranges of at most `max_entries`, or of one run's share of one feature if that alone is more, and of at most
// `max_features`.
std::vector<CscRange> split_into_ranges(const RunStore& runs, std::uint64_t max_entries, std::uint32_t max_features);

// The pieces of one range, at hand in memory. Started, loaded and merged, then started with another range.
class CscMerge {
 public:
  // `n_loaders` threads share each load.
  CscMerge(const RunStore& runs, std::vector<DataType> layers, std::size_t n_loaders);

  void start(const CscRange& range);
  // One loader's part. All must be done before merge().
  void load(std::size_t loader);
  // Writes the range's entries: row numbers unless `rows` is null, and each layer's values in its own dtype. Spreads
  // over the CPU pool. Throws Cancelled.
  void merge(std::uint32_t* rows, std::span<std::byte* const> values, const std::stop_token& stop) const;

 private:
  // One run's share of the range.
  struct Piece {
    std::span<const std::byte> offsets;  // uint32, one more than features
    std::span<const std::byte> rows;     // uint16
    std::vector<std::span<const std::byte>> values;

    std::uint32_t n_entries() const;
  };
  // What one loader read from the file.
  struct Room {
    PageBuffer offsets;
    PageBuffer entries;
  };
  // Features [begin, end) of the range, whose entries begin at `target` of the result.
  struct Share {
    std::uint32_t begin;
    std::uint32_t end;
    std::uint64_t target;
  };
  std::vector<Share> split_into_shares() const;
  void merge_share(const Share& share, std::uint32_t* rows, std::span<std::byte* const> values) const;

  const RunStore& runs_;
  std::vector<DataType> layers_;
  CscRange range_{};
  std::vector<Piece> pieces_;
  std::vector<Room> rooms_;
};

}  // namespace hox::ragged
