// RunStore: the runs of one transposition, in memory as far as a budget goes and in a scratch file beyond it.
//
// Runs are added by one thread, in the order of their blocks; meanwhile nobody reads. Afterwards any thread may read.
// Fails with StoreError (the scratch file's directory is full or gone).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "homeobox/io/scratch_file.h"
#include "homeobox/ragged/csc_run.h"

namespace hox::ragged {

class RunStore {
 public:
  // The file is made in `scratch_directory` when the first run exceeds `held_bytes`.
  RunStore(std::uint32_t n_features, std::uint64_t held_bytes, std::string scratch_directory);

  void add(CscRun run);

  std::size_t n_runs() const noexcept { return runs_.size(); }
  std::uint64_t first_row(std::size_t run) const noexcept { return runs_[run].first_row; }
  std::uint8_t value_bytes(std::size_t run, std::size_t layer) const noexcept { return runs_[run].value_bytes[layer]; }
  // Entries of each feature in all runs.
  std::span<const std::uint64_t> totals() const noexcept { return totals_; }
  std::uint64_t spilled_bytes() const noexcept { return file_ ? file_->size() : 0; }

  // Whether the run is in the file, so that what is read of it needs room.
  bool is_spilled(std::size_t run) const noexcept { return runs_[run].rows.in_file; }

  // Elements [first, first + n) of one part of a run: where they lie in memory, or read to `room`, which then moves
  // behind them to the next multiple of kRoomAlignment.
  static constexpr std::size_t kRoomAlignment = 8;
  std::span<const std::byte> offsets(std::size_t run, std::uint32_t first, std::uint32_t n, std::byte*& room) const;
  std::span<const std::byte> rows(std::size_t run, std::uint32_t first, std::uint32_t n, std::byte*& room) const;
  std::span<const std::byte> values(std::size_t run, std::size_t layer, std::uint32_t first, std::uint32_t n,
                                    std::byte*& room) const;

 private:
  // In memory, or where it lies in the file.
  struct Part {
    PageBuffer memory;
    std::uint64_t file_offset = 0;
    bool in_file = false;
  };
  struct StoredRun {
    std::uint64_t first_row;
    Part offsets;
    Part rows;
    std::vector<Part> values;
    std::vector<std::uint8_t> value_bytes;
  };
  std::span<const std::byte> read(const Part& part, std::uint64_t begin, std::uint64_t n_bytes, std::byte*& room) const;

  std::string scratch_directory_;
  std::uint64_t held_bytes_left_;
  std::optional<ScratchFile> file_;
  std::vector<StoredRun> runs_;
  std::vector<std::uint64_t> totals_;
};

}  // namespace hox::ragged
