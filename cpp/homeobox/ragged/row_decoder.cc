#include "homeobox/ragged/row_decoder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/ragged/convert.h"

namespace hox::ragged {
namespace {

// Random cells miss every cache: the chunk's header says where the bytes are, so two cells' worth of latency lie
// between asking for one and decoding the other. Measured on 405,000 cells; more gains nothing.
constexpr std::size_t kHeadersAhead = 6;
constexpr std::size_t kBytesAhead = 3;

// Cells that are asked whether their chunks decode only as a whole, in which case cells are taken chunk by chunk.
constexpr std::size_t kProbes = 4;

std::byte* with_room(RawBuffer& buffer, std::uint64_t n_bytes) {
  if (buffer.size() < n_bytes) buffer = RawBuffer(n_bytes + n_bytes / 2);
  return buffer.data();
}

bool is_32_bit_integer(DataType dtype) noexcept { return dtype == DataType::kUint32 || dtype == DataType::kInt32; }

// Indices of another integer type, checked: what is negative or beyond 32 bits cannot be a feature.
void narrow_indices(const RangeSource& source, std::size_t cell, const std::byte* stored, std::size_t n,
                    std::uint32_t* columns) {
  const auto narrow = [&](auto type) {
    using Index = decltype(type);
    for (std::size_t i = 0; i < n; ++i) {
      Index index;
      std::memcpy(&index, stored + i * sizeof index, sizeof index);
      const auto column = checked_cast<std::uint32_t>(index);
      if (!column)
        fail<CorruptData>("array {}: entry {} of cell {} is {}, not a feature", source.array().path(), i, cell,
                          static_cast<std::int64_t>(index));
      columns[i] = *column;
    }
  };
  switch (source.dtype()) {
    case DataType::kInt8:
      return narrow(std::int8_t{});
    case DataType::kInt16:
      return narrow(std::int16_t{});
    case DataType::kInt64:
      return narrow(std::int64_t{});
    case DataType::kUint8:
      return narrow(std::uint8_t{});
    case DataType::kUint16:
      return narrow(std::uint16_t{});
    case DataType::kUint64:
      return narrow(std::uint64_t{});
    default:
      fail<CorruptData>("array {}: indices of {}", source.array().path(), name(source.dtype()));
  }
}

}  // namespace

RowDecoder::RowDecoder(std::int64_t n_columns, DataType dtype, RowOrder order)
    : dtype_(dtype), order_(order), sorter_(n_columns) {}

RowDecoder::Row RowDecoder::locate(const LoadedGroup& group, std::uint64_t begin, std::uint64_t end) {
  return {&group, end - begin, group.indices.locate(begin), group.values.locate(begin)};
}

void RowDecoder::decode_columns(const Row& row, std::size_t cell, std::uint32_t* columns) {
  const RangeSource& source = row.group->indices;
  if (is_32_bit_integer(source.dtype())) {
    source.decode(row.indices, row.n, reinterpret_cast<std::byte*>(columns), scratch_, index_chunk_);
  } else {
    std::byte* const stored = with_room(stored_, row.n * element_bytes(source.dtype()));
    source.decode(row.indices, row.n, stored, scratch_, index_chunk_);
    narrow_indices(source, cell, stored, row.n, columns);
  }
  const std::size_t mapped = row.group->columns->apply({columns, row.n});
  if (mapped != row.n) [[unlikely]]
    fail<CorruptData>("array {}: entry {} of cell {} of the query is no feature of the layout, which has {}",
                      source.array().path(), mapped, cell, row.group->columns->n_features());
}

void RowDecoder::decode_values(const Row& row, std::byte* values) {
  const RangeSource& source = row.group->values;
  if (source.dtype() == dtype_) return source.decode(row.values, row.n, values, scratch_, value_chunk_);
  std::byte* const stored = with_room(stored_, row.n * element_bytes(source.dtype()));
  source.decode(row.values, row.n, stored, scratch_, value_chunk_);
  convert(source.dtype(), stored, dtype_, values, row.n);
}

void RowDecoder::decode_cells(std::span<const LoadedGroup> groups, const CellRanges& cells, std::size_t first,
                              std::size_t last, std::span<const std::int64_t> indptr, std::uint32_t* columns,
                              std::byte* values) {
  visit_order_.resize(last - first);
  std::iota(visit_order_.begin(), visit_order_.end(), first);
  const auto has_data = [&](std::size_t cell) {
    return cells.group_of_cell[cell] != kNoGroup && cells.begins[cell] != cells.ends[cell];
  };
  const auto group_of = [&](std::size_t cell) -> const LoadedGroup& {
    return groups[static_cast<std::size_t>(cells.group_of_cell[cell])];
  };
  // A few cells tell for all: asking each one would wait for a line of every chunk.
  const auto decodes_whole_chunks = [&](std::size_t cell) {
    if (!has_data(cell)) return false;
    const auto begin = static_cast<std::uint64_t>(cells.begins[cell]);
    return !group_of(cell).indices.decodes_ranges(begin) || !group_of(cell).values.decodes_ranges(begin);
  };
  bool sorts = false;
  for (std::size_t i = 0; i < kProbes && first < last && !sorts; ++i)
    sorts = decodes_whole_chunks(first + (last - first) * i / kProbes);
  if (sorts)
    std::sort(visit_order_.begin(), visit_order_.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(cells.group_of_cell[a], cells.begins[a]) < std::pair(cells.group_of_cell[b], cells.begins[b]);
    });

  std::array<Row, kHeadersAhead> ring;
  const auto find = [&](std::size_t visit) {
    if (visit >= visit_order_.size()) return;
    const std::size_t cell = visit_order_[visit];
    Row& row = ring[visit % kHeadersAhead];
    row.group = nullptr;
    if (!has_data(cell)) return;
    row = locate(group_of(cell), static_cast<std::uint64_t>(cells.begins[cell]),
                 static_cast<std::uint64_t>(cells.ends[cell]));
    RangeSource::prefetch_header(row.indices);
    RangeSource::prefetch_header(row.values);
  };
  const auto prefetch = [&](std::size_t visit) {
    if (visit >= visit_order_.size() || ring[visit % kHeadersAhead].group == nullptr) return;
    const Row& row = ring[visit % kHeadersAhead];
    row.group->indices.prefetch(row.indices, row.n);
    row.group->values.prefetch(row.values, row.n);
  };
  for (std::size_t visit = 0; visit < kHeadersAhead; ++visit) find(visit);
  for (std::size_t visit = 0; visit < kBytesAhead; ++visit) prefetch(visit);
  const std::size_t value_bytes = element_bytes(dtype_);
  for (std::size_t visit = 0; visit < visit_order_.size(); ++visit) {
    prefetch(visit + kBytesAhead);
    if (const Row& row = ring[visit % kHeadersAhead]; row.group != nullptr) {
      const std::size_t cell = visit_order_[visit];
      const auto at = static_cast<std::uint64_t>(indptr[cell]);
      decode_columns(row, cell, columns + at);
      decode_values(row, values + at * value_bytes);
      if (order_ == RowOrder::kCanonical) sorter_.sort({columns + at, row.n}, values + at * value_bytes, value_bytes);
    }
    find(visit + kHeadersAhead);  // takes the place of this cell
  }
}

std::size_t RowDecoder::append_kept(const LoadedGroup& group, std::size_t cell, std::uint64_t begin, std::uint64_t end,
                                    std::vector<std::uint32_t>& columns, std::vector<std::byte>& values) {
  const Row row = locate(group, begin, end);
  const std::size_t bytes = element_bytes(dtype_);
  all_columns_.resize(row.n);
  decode_columns(row, cell, all_columns_.data());
  std::byte* const all_values = with_room(all_values_, row.n * bytes);
  decode_values(row, all_values);
  const std::size_t first = columns.size();
  for (std::size_t i = 0; i < row.n; ++i) {
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
