#include "homeobox/ragged/csc_merge.h"

#include <algorithm>
#include <array>
#include <utility>

#include "homeobox/base/checked.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/narrow_values.h"

namespace hox::ragged {
namespace {

// Entries that one thread merges at a time.
constexpr std::uint64_t kShareEntries = 128 * 1024;

std::span<const std::uint32_t> as_offsets(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint32_t*>(bytes.data()), bytes.size() / sizeof(std::uint32_t)};
}

void widen_rows(const std::uint16_t* in, std::uint64_t first_row, std::span<const std::uint32_t> lengths,
                const std::uint64_t* targets, std::uint32_t* out) noexcept {
  const auto base = static_cast<std::uint32_t>(first_row);
  for (std::size_t piece = 0; piece < lengths.size(); ++piece) {
    std::uint32_t* const to = out + targets[piece];
    const std::uint32_t n = lengths[piece];
    for (std::uint32_t i = 0; i < n; ++i) to[i] = base + in[i];
    in += n;
  }
}

}  // namespace

std::vector<CscRange> split_into_ranges(const RunStore& runs, std::uint64_t max_entries, std::uint32_t max_features) {
  std::vector<CscRange> ranges;
  const std::span<const std::uint64_t> totals = runs.totals();
  const auto n_features = static_cast<std::uint32_t>(totals.size());
  CscRange open{0, 0, 0, runs.n_runs(), 0};
  const auto close = [&](std::uint32_t next_feature) {
    if (open.n_entries > 0) ranges.push_back(open);
    open = {next_feature, next_feature, 0, runs.n_runs(), 0};
  };
  for (std::uint32_t feature = 0; feature < n_features; ++feature) {
    if (open.n_entries + totals[feature] > max_entries || feature - open.feature_begin == max_features) close(feature);
    open.feature_end = feature + 1;
    if (totals[feature] <= max_entries) {
      open.n_entries += totals[feature];
      continue;
    }
    open.run_end = 0;
    for (std::size_t run = 0; run < runs.n_runs(); ++run) {
      std::array<std::byte, 2 * sizeof(std::uint32_t)> memory;
      std::byte* room = memory.data();
      const auto offsets = as_offsets(runs.offsets(run, feature, 2, room));
      const std::uint64_t n = offsets[1] - offsets[0];
      if (open.n_entries + n > max_entries && open.n_entries > 0) {
        ranges.push_back(open);
        open = {feature, feature + 1, run, run, 0};
      }
      open.n_entries += n;
      open.run_end = run + 1;
    }
    close(feature + 1);
  }
  close(n_features);
  return ranges;
}

CscMerge::CscMerge(const RunStore& runs, std::vector<DataType> layers, std::size_t n_loaders)
    : runs_(runs), layers_(std::move(layers)), rooms_(n_loaders) {}

void CscMerge::start(const CscRange& range) {
  range_ = range;
  pieces_.resize(range.run_end - range.run_begin);
}

void CscMerge::load(std::size_t loader) {
  Room& room = rooms_[loader];
  room.offsets.reset();
  room.entries.reset();
  const std::uint32_t n_features = range_.feature_end - range_.feature_begin;
  const auto padded = [](std::uint64_t n_bytes) {
    return ceil_divide<std::uint64_t>(n_bytes, RunStore::kRoomAlignment) * RunStore::kRoomAlignment;
  };
  // Calls visit(piece, run) for this loader's share of the runs.
  const auto for_each_run = [&](auto visit) {
    for (std::size_t i = loader; i < pieces_.size(); i += rooms_.size()) visit(pieces_[i], range_.run_begin + i);
  };

  std::uint64_t n_bytes = 0;
  for_each_run([&](Piece&, std::size_t run) {
    if (runs_.is_spilled(run)) n_bytes += padded((std::uint64_t{n_features} + 1) * sizeof(std::uint32_t));
  });
  room.offsets = PageBuffer(n_bytes);
  std::byte* next = room.offsets.data();
  n_bytes = 0;
  for_each_run([&](Piece& piece, std::size_t run) {
    piece.offsets = runs_.offsets(run, range_.feature_begin, n_features + 1, next);
    if (!runs_.is_spilled(run)) return;
    const std::uint64_t n = piece.n_entries();
    n_bytes += padded(n * sizeof(std::uint16_t));
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) n_bytes += padded(n * runs_.value_bytes(run, layer));
  });
  room.entries = PageBuffer(n_bytes);
  next = room.entries.data();
  for_each_run([&](Piece& piece, std::size_t run) {
    const std::uint32_t begin = as_offsets(piece.offsets).front();
    piece.rows = runs_.rows(run, begin, piece.n_entries(), next);
    piece.values.resize(layers_.size());
    for (std::size_t layer = 0; layer < layers_.size(); ++layer)
      piece.values[layer] = runs_.values(run, layer, begin, piece.n_entries(), next);
  });
}

std::uint32_t CscMerge::Piece::n_entries() const {
  const std::span<const std::uint32_t> bounds = as_offsets(offsets);
  return bounds.back() - bounds.front();
}

std::vector<CscMerge::Share> CscMerge::split_into_shares() const {
  const std::uint32_t n_features = range_.feature_end - range_.feature_begin;
  if (n_features == 1) return {{0, 1, 0}};
  std::vector<Share> shares;
  Share open{0, 0, 0};
  std::uint64_t target = 0;
  for (std::uint32_t feature = 0; feature < n_features; ++feature) {
    target += runs_.totals()[range_.feature_begin + feature];
    open.end = feature + 1;
    if (target - open.target < kShareEntries && feature + 1 < n_features) continue;
    shares.push_back(open);
    open = {feature + 1, feature + 1, target};
  }
  return shares;
}

void CscMerge::merge(std::uint32_t* rows, std::span<std::byte* const> values, const std::stop_token& stop) const {
  const std::vector<Share> shares = split_into_shares();
  parallel_for(
      Runtime::cpu(), shares.size(), [&](std::size_t i) { merge_share(shares[i], rows, values); }, stop);
}

void CscMerge::merge_share(const Share& share, std::uint32_t* rows, std::span<std::byte* const> values) const {
  const std::uint32_t n_features = share.end - share.begin;
  // Where the next piece of each feature goes, and how long it is.
  std::vector<std::uint64_t> targets(n_features);
  std::vector<std::uint32_t> lengths(n_features);
  std::uint64_t target = share.target;
  for (std::uint32_t feature = 0; feature < n_features; ++feature) {
    targets[feature] = target;
    target += runs_.totals()[range_.feature_begin + share.begin + feature];
  }
  for (std::size_t i = 0; i < range_.run_end - range_.run_begin; ++i) {
    const Piece& piece = pieces_[i];
    const std::size_t run = range_.run_begin + i;
    const std::span<const std::uint32_t> offsets = as_offsets(piece.offsets).subspan(share.begin, n_features + 1);
    const std::uint32_t skip = offsets.front() - as_offsets(piece.offsets).front();
    for (std::uint32_t feature = 0; feature < n_features; ++feature)
      lengths[feature] = offsets[feature + 1] - offsets[feature];
    if (rows != nullptr)
      widen_rows(reinterpret_cast<const std::uint16_t*>(piece.rows.data()) + skip, runs_.first_row(run), lengths,
                 targets.data(), rows);
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      const std::size_t stored_bytes = runs_.value_bytes(run, layer);
      widen_pieces(layers_[layer], stored_bytes, piece.values[layer].data() + skip * stored_bytes, lengths.data(),
                   targets.data(), n_features, values[layer]);
    }
    for (std::uint32_t feature = 0; feature < n_features; ++feature) targets[feature] += lengths[feature];
  }
}

}  // namespace hox::ragged
