#include "homeobox/ragged/run_store.h"

#include <utility>

#include "homeobox/base/checked.h"

namespace hox::ragged {

RunStore::RunStore(std::uint32_t n_features, std::uint64_t held_bytes, std::string scratch_directory)
    : scratch_directory_(std::move(scratch_directory)), held_bytes_left_(held_bytes), totals_(n_features) {}

void RunStore::add(CscRun run) {
  const auto* const offsets = run.offsets.as<std::uint32_t>();
  for (std::size_t feature = 0; feature < totals_.size(); ++feature)
    totals_[feature] += offsets[feature + 1] - offsets[feature];

  std::uint64_t n_bytes = run.offsets.size() + run.rows.size();
  for (const PageBuffer& values : run.values) n_bytes += values.size();
  const bool hold = n_bytes <= held_bytes_left_;
  if (hold) {
    held_bytes_left_ -= n_bytes;
  } else {
    held_bytes_left_ = 0;  // later runs go to the file too, so that it is written and read in order
    if (!file_) file_.emplace(scratch_directory_);
  }
  const auto keep = [&](PageBuffer bytes) -> Part {
    if (hold) return {std::move(bytes), 0, false};
    return {{}, file_->append({bytes.data(), bytes.size()}), true};
  };
  StoredRun stored{run.first_row, keep(std::move(run.offsets)), keep(std::move(run.rows)), {}, run.value_bytes};
  for (PageBuffer& values : run.values) stored.values.push_back(keep(std::move(values)));
  runs_.push_back(std::move(stored));
}

std::span<const std::byte> RunStore::read(const Part& part, std::uint64_t begin, std::uint64_t n_bytes,
                                          std::byte*& room) const {
  if (!part.in_file) return {part.memory.data() + begin, n_bytes};
  const std::span<std::byte> out(room, n_bytes);
  file_->read(part.file_offset + begin, out);
  room += ceil_divide<std::uint64_t>(n_bytes, kRoomAlignment) * kRoomAlignment;
  return out;
}

std::span<const std::byte> RunStore::offsets(std::size_t run, std::uint32_t first, std::uint32_t n,
                                             std::byte*& room) const {
  return read(runs_[run].offsets, first * sizeof(std::uint32_t), n * sizeof(std::uint32_t), room);
}

std::span<const std::byte> RunStore::rows(std::size_t run, std::uint32_t first, std::uint32_t n,
                                          std::byte*& room) const {
  return read(runs_[run].rows, first * sizeof(std::uint16_t), n * sizeof(std::uint16_t), room);
}

std::span<const std::byte> RunStore::values(std::size_t run, std::size_t layer, std::uint32_t first, std::uint32_t n,
                                            std::byte*& room) const {
  const std::uint64_t bytes = runs_[run].value_bytes[layer];
  return read(runs_[run].values[layer], first * bytes, n * bytes, room);
}

}  // namespace hox::ragged
