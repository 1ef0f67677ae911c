#include "homeobox/ragged/csc_run.h"

#include <algorithm>
#include <cstring>

#include "homeobox/base/error.h"
#include "homeobox/ragged/narrow_values.h"

namespace hox::ragged {
namespace {

constexpr std::uint64_t kMaxBlockRows = 65536;
// Elements that are decoded and looked at while they are in the first-level cache or near it.
constexpr std::size_t kPieceElements = 12288;

std::byte* with_room(PageBuffer& buffer, std::uint64_t n_bytes) {
  if (buffer.size() < n_bytes) {
    buffer.reset();
    buffer = PageBuffer(n_bytes);
  }
  return buffer.data();
}

bool is_32_bit_integer(DataType dtype) noexcept { return dtype == DataType::kUint32 || dtype == DataType::kInt32; }

template <class From, class To>
void scatter(const std::uint32_t* places, const From* values, std::size_t n, std::byte* out) noexcept {
  To* const to = reinterpret_cast<To*>(out);
  for (std::size_t i = 0; i < n; ++i) to[places[i]] = static_cast<To>(values[i]);
}

void scatter_native(std::size_t bytes, const std::uint32_t* places, const std::byte* values, std::size_t n,
                    std::byte* out) noexcept {
  switch (bytes) {
    case 1:
      return scatter<std::uint8_t, std::uint8_t>(places, reinterpret_cast<const std::uint8_t*>(values), n, out);
    case 2:
      return scatter<std::uint16_t, std::uint16_t>(places, reinterpret_cast<const std::uint16_t*>(values), n, out);
    case 4:
      return scatter<std::uint32_t, std::uint32_t>(places, reinterpret_cast<const std::uint32_t*>(values), n, out);
    default:
      return scatter<std::uint64_t, std::uint64_t>(places, reinterpret_cast<const std::uint64_t*>(values), n, out);
  }
}

// Calls visit(first entry of the piece relative to the block, number of entries), until one answers false.
template <class Visit>
bool for_each_piece(const EntryBlock& block, Visit visit) {
  const std::uint64_t n = block.end - block.begin;
  for (std::uint64_t at = 0; at < n; at += kPieceElements)
    if (!visit(at, static_cast<std::size_t>(std::min<std::uint64_t>(kPieceElements, n - at)))) return false;
  return true;
}

}  // namespace

std::vector<EntryBlock> split_into_blocks(std::span<const std::int64_t> row_bounds, std::uint64_t block_entries) {
  std::vector<EntryBlock> blocks;
  const std::uint64_t n_rows = row_bounds.size() - 1;
  const auto n_entries = static_cast<std::uint64_t>(row_bounds.back());
  std::uint64_t entry = 0;
  while (entry < n_entries) {
    const auto after = std::upper_bound(row_bounds.begin(), row_bounds.end(), static_cast<std::int64_t>(entry));
    const auto row = static_cast<std::uint64_t>(after - row_bounds.begin() - 1);
    const auto rows_end = static_cast<std::uint64_t>(row_bounds[std::min(row + kMaxBlockRows, n_rows)]);
    const std::uint64_t end = std::min({(entry / block_entries + 1) * block_entries, n_entries, rows_end});
    blocks.push_back({entry, end, row});
    entry = end;
  }
  return blocks;
}

BlockTransposer::BlockTransposer(std::span<const std::int64_t> row_bounds, std::uint32_t n_features,
                                 std::span<const std::uint32_t> local_of_stored)
    : row_bounds_(row_bounds), n_features_(n_features), local_of_stored_(local_of_stored), next_(n_features) {}

CscRun BlockTransposer::transpose(const EntryBlock& block, const RangeSource& indices,
                                  std::span<const RangeSource> layers) {
  CscRun run;
  run.first_row = block.first_row;
  run.n_entries = static_cast<std::uint32_t>(block.end - block.begin);
  places_ = reinterpret_cast<std::uint32_t*>(with_room(places_memory_, run.n_entries * sizeof(std::uint32_t)));
  count_features(block, indices);
  start_features(run);
  place_rows(block, run);
  for (const RangeSource& layer : layers) place_layer(block, layer, run);
  return run;
}

void BlockTransposer::decode_indices(const RangeSource& indices, std::uint64_t begin, std::size_t n,
                                     std::uint32_t* out) {
  if (is_32_bit_integer(indices.dtype()))
    return indices.decode(indices.locate(begin), n, reinterpret_cast<std::byte*>(out), scratch_, index_chunk_);
  const std::size_t bytes = element_bytes(indices.dtype());
  std::byte* const stored = with_room(decoded_, n * bytes);
  indices.decode(indices.locate(begin), n, stored, scratch_, index_chunk_);
  for (std::size_t i = 0; i < n; ++i) {
    std::uint64_t value = 0;
    std::memcpy(&value, stored + i * bytes, bytes);
    out[i] = static_cast<std::uint32_t>(std::min<std::uint64_t>(value, n_features_));
  }
}

void BlockTransposer::count_features(const EntryBlock& block, const RangeSource& indices) {
  std::fill(next_.begin(), next_.end(), 0U);
  for_each_piece(block, [&](std::uint64_t at, std::size_t n) {
    std::uint32_t* const features = places_ + at;
    decode_indices(indices, block.begin + at, n, features);
    std::uint32_t largest = 0;
    for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, features[i]);
    if (largest >= n_features_) [[unlikely]] {
      const auto bad = std::find_if(features, features + n, [this](std::uint32_t f) { return f >= n_features_; });
      fail<CorruptData>("array {}: entry {} is not a feature, of which there are {}", indices.array().path(),
                        block.begin + at + static_cast<std::uint64_t>(bad - features), n_features_);
    }
    for (std::size_t i = 0; i < n; ++i) ++next_[features[i]];
    return true;
  });
}

void BlockTransposer::start_features(CscRun& run) {
  run.offsets = PageBuffer((std::uint64_t{n_features_} + 1) * sizeof(std::uint32_t));
  auto* const offsets = run.offsets.as<std::uint32_t>();
  // Counts go to layout order, and the running sum comes back: this is where the stored order is undone.
  for (std::uint32_t stored = 0; stored < n_features_; ++stored)
    offsets[local_of_stored_.empty() ? stored : local_of_stored_[stored]] = next_[stored];
  std::uint32_t sum = 0;
  for (std::uint32_t local = 0; local < n_features_; ++local) {
    const std::uint32_t n = offsets[local];
    offsets[local] = sum;
    sum += n;
  }
  offsets[n_features_] = sum;
  for (std::uint32_t stored = 0; stored < n_features_; ++stored)
    next_[stored] = offsets[local_of_stored_.empty() ? stored : local_of_stored_[stored]];
}

void BlockTransposer::place_rows(const EntryBlock& block, CscRun& run) {
  run.rows = PageBuffer(run.n_entries * sizeof(std::uint16_t));
  auto* const rows = run.rows.as<std::uint16_t>();
  std::uint64_t row = block.first_row;
  std::uint64_t entry = block.begin;
  while (entry < block.end) {
    const std::uint64_t row_end = std::min(static_cast<std::uint64_t>(row_bounds_[row + 1]), block.end);
    const auto row_in_block = static_cast<std::uint16_t>(row - block.first_row);
    for (; entry < row_end; ++entry) {
      std::uint32_t& place = places_[entry - block.begin];
      place = next_[place]++;
      rows[place] = row_in_block;
    }
    ++row;
  }
}

void BlockTransposer::place_layer(const EntryBlock& block, const RangeSource& layer, CscRun& run) {
  if (can_narrow(layer.dtype()) && place_narrow(block, layer, run)) return;
  const std::size_t bytes = element_bytes(layer.dtype());
  PageBuffer values(run.n_entries * bytes);
  std::byte* const decoded = with_room(decoded_, kPieceElements * bytes);
  for_each_piece(block, [&](std::uint64_t at, std::size_t n) {
    layer.decode(layer.locate(block.begin + at), n, decoded, scratch_, layer_chunk_);
    scatter_native(bytes, places_ + at, decoded, n, values.data());
    return true;
  });
  run.values.push_back(std::move(values));
  run.value_bytes.push_back(static_cast<std::uint8_t>(bytes));
}

// False when a value is not narrow; usually in the first piece, or never.
bool BlockTransposer::place_narrow(const EntryBlock& block, const RangeSource& layer, CscRun& run) {
  auto* const narrow = reinterpret_cast<std::uint16_t*>(with_room(narrow_, run.n_entries * sizeof(std::uint16_t)));
  std::byte* const decoded = with_room(decoded_, kPieceElements * element_bytes(layer.dtype()));
  std::uint32_t used_bits = 0;
  const bool all_narrow = for_each_piece(block, [&](std::uint64_t at, std::size_t n) {
    layer.decode(layer.locate(block.begin + at), n, decoded, scratch_, layer_chunk_);
    const auto bits = narrow_values(layer.dtype(), decoded, n, narrow + at);
    used_bits |= bits.value_or(0);
    return bits.has_value();
  });
  if (!all_narrow) return false;
  const std::size_t bytes = used_bits <= 0xff ? 1 : 2;
  PageBuffer values(run.n_entries * bytes);
  if (bytes == 1)
    scatter<std::uint16_t, std::uint8_t>(places_, narrow, run.n_entries, values.data());
  else
    scatter<std::uint16_t, std::uint16_t>(places_, narrow, run.n_entries, values.data());
  run.values.push_back(std::move(values));
  run.value_bytes.push_back(static_cast<std::uint8_t>(bytes));
  return true;
}

}  // namespace hox::ragged
