#include "homeobox/ragged/row_decoder.h"

#include <cstring>

#include "homeobox/base/error.h"
#include "homeobox/ragged/convert.h"

namespace hox::ragged {
namespace {

// Random cells miss every cache: the chunk's header says where the bytes are, so two cells' worth of latency lie
// between asking for one and decoding the other. Measured on 405,000 cells; more gains nothing.
constexpr std::size_t kHeadersAhead = 6;
constexpr std::size_t kBytesAhead = 3;

std::byte* with_room(RawBuffer& buffer, std::uint64_t n_bytes) {
  if (buffer.size() < n_bytes) buffer = RawBuffer(n_bytes + n_bytes / 2);
  return buffer.data();
}

bool is_32_bit_integer(DataType dtype) noexcept { return dtype == DataType::kUint32 || dtype == DataType::kInt32; }

// Indices of another integer type, checked: what does not fit in 32 bits cannot be a feature.
void narrow_indices(const RangeSource& source, std::size_t cell, const std::byte* stored, std::size_t n,
                    std::uint32_t* columns) {
  const std::size_t bytes = element_bytes(source.dtype());
  for (std::size_t i = 0; i < n; ++i) {
    std::uint64_t value = 0;
    std::memcpy(&value, stored + i * bytes, bytes);
    if (value > 0xffffffffU)
      fail<CorruptData>("array {}: entry {} of cell {} is {}, not a feature", source.array().path(), i, cell, value);
    columns[i] = static_cast<std::uint32_t>(value);
  }
}

}  // namespace

RowDecoder::RowDecoder(std::int64_t n_columns, DataType dtype, RowOrder order)
    : dtype_(dtype), order_(order), sorter_(n_columns) {}

void RowDecoder::decode_columns(const LoadedGroup& group, std::size_t cell, std::uint64_t begin, std::uint64_t end,
                                std::uint32_t* columns) {
  const RangeSource& source = group.indices;
  const std::size_t n = end - begin;
  if (is_32_bit_integer(source.dtype())) {
    source.decode(begin, end, reinterpret_cast<std::byte*>(columns), scratch_);
  } else {
    std::byte* const stored = with_room(stored_, n * element_bytes(source.dtype()));
    source.decode(begin, end, stored, scratch_);
    narrow_indices(source, cell, stored, n, columns);
  }
  const std::size_t mapped = group.columns->apply({columns, n});
  if (mapped != n) [[unlikely]]
    fail<CorruptData>("array {}: element {} (cell {} of the query) is no feature of the layout, which has {}",
                      source.array().path(), begin + mapped, cell, group.columns->n_features());
}

void RowDecoder::decode_values(const RangeSource& source, std::uint64_t begin, std::uint64_t end, std::byte* values) {
  if (source.dtype() == dtype_) return source.decode(begin, end, values, scratch_);
  const std::size_t n = end - begin;
  std::byte* const stored = with_room(stored_, n * element_bytes(source.dtype()));
  source.decode(begin, end, stored, scratch_);
  convert(source.dtype(), stored, dtype_, values, n);
}

void RowDecoder::decode(const LoadedGroup& group, std::size_t cell, std::uint64_t begin, std::uint64_t end,
                        std::uint32_t* columns, std::byte* values) {
  decode_columns(group, cell, begin, end, columns);
  decode_values(group.values, begin, end, values);
  if (order_ == RowOrder::kCanonical) sorter_.sort({columns, end - begin}, values, element_bytes(dtype_));
}

void RowDecoder::decode_cells(std::span<const LoadedGroup> groups, const CellRanges& cells, std::size_t first,
                              std::size_t last, std::span<const std::int64_t> indptr, std::uint32_t* columns,
                              std::byte* values) {
  // Visits the cell that is `ahead` of the current one, if it has data.
  const auto look_ahead = [&](std::size_t cell, std::size_t ahead, auto visit) {
    if (cell + ahead >= last || cells.group_of_cell[cell + ahead] == kNoGroup) return;
    const LoadedGroup& group = groups[static_cast<std::size_t>(cells.group_of_cell[cell + ahead])];
    const auto begin = static_cast<std::uint64_t>(cells.begins[cell + ahead]);
    const auto end = static_cast<std::uint64_t>(cells.ends[cell + ahead]);
    if (begin < end) visit(group, begin, end);
  };
  const auto prefetch_headers = [](const LoadedGroup& group, std::uint64_t begin, std::uint64_t) {
    group.indices.prefetch_header(begin);
    group.values.prefetch_header(begin);
  };
  const auto prefetch_bytes = [](const LoadedGroup& group, std::uint64_t begin, std::uint64_t end) {
    group.indices.prefetch(begin, end);
    group.values.prefetch(begin, end);
  };
  for (std::size_t ahead = 0; ahead < kHeadersAhead; ++ahead) look_ahead(first, ahead, prefetch_headers);
  for (std::size_t ahead = 0; ahead < kBytesAhead; ++ahead) look_ahead(first, ahead, prefetch_bytes);
  const std::size_t value_bytes = element_bytes(dtype_);
  for (std::size_t cell = first; cell < last; ++cell) {
    look_ahead(cell, kHeadersAhead, prefetch_headers);
    look_ahead(cell, kBytesAhead, prefetch_bytes);
    look_ahead(cell, 0, [&](const LoadedGroup& group, std::uint64_t begin, std::uint64_t end) {
      const auto at = static_cast<std::uint64_t>(indptr[cell]);
      decode(group, cell, begin, end, columns + at, values + at * value_bytes);
    });
  }
}

std::size_t RowDecoder::append_kept(const LoadedGroup& group, std::size_t cell, std::uint64_t begin, std::uint64_t end,
                                    std::vector<std::uint32_t>& columns, std::vector<std::byte>& values) {
  const std::size_t n = end - begin;
  const std::size_t bytes = element_bytes(dtype_);
  all_columns_.resize(n);
  decode_columns(group, cell, begin, end, all_columns_.data());
  std::byte* const all_values = with_room(all_values_, n * bytes);
  decode_values(group.values, begin, end, all_values);
  const std::size_t first = columns.size();
  for (std::size_t i = 0; i < n; ++i) {
    if (all_columns_[i] == static_cast<std::uint32_t>(kAbsent)) continue;
    columns.push_back(all_columns_[i]);
    values.insert(values.end(), all_values + i * bytes, all_values + (i + 1) * bytes);
  }
  const std::size_t kept = columns.size() - first;
  if (order_ == RowOrder::kCanonical)
    sorter_.sort({columns.data() + first, kept}, values.data() + first * bytes, bytes);
  return kept;
}

}  // namespace hox::ragged
