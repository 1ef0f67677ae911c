#include "homeobox/ragged/row_decoder.h"

#include <array>
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

RowDecoder::Row RowDecoder::locate(const LoadedGroup& group, std::uint64_t begin, std::uint64_t end) {
  return {&group, end - begin, group.indices.locate(begin), group.values.locate(begin)};
}

void RowDecoder::decode_columns(const Row& row, std::size_t cell, std::uint32_t* columns) {
  const RangeSource& source = row.group->indices;
  if (is_32_bit_integer(source.dtype())) {
    source.decode(row.indices, row.n, reinterpret_cast<std::byte*>(columns), scratch_);
  } else {
    std::byte* const stored = with_room(stored_, row.n * element_bytes(source.dtype()));
    source.decode(row.indices, row.n, stored, scratch_);
    narrow_indices(source, cell, stored, row.n, columns);
  }
  const std::size_t mapped = row.group->columns->apply({columns, row.n});
  if (mapped != row.n) [[unlikely]]
    fail<CorruptData>("array {}: entry {} of cell {} of the query is no feature of the layout, which has {}",
                      source.array().path(), mapped, cell, row.group->columns->n_features());
}

void RowDecoder::decode_values(const Row& row, std::byte* values) {
  const RangeSource& source = row.group->values;
  if (source.dtype() == dtype_) return source.decode(row.values, row.n, values, scratch_);
  std::byte* const stored = with_room(stored_, row.n * element_bytes(source.dtype()));
  source.decode(row.values, row.n, stored, scratch_);
  convert(source.dtype(), stored, dtype_, values, row.n);
}

void RowDecoder::decode_cells(std::span<const LoadedGroup> groups, const CellRanges& cells, std::size_t first,
                              std::size_t last, std::span<const std::int64_t> indptr, std::uint32_t* columns,
                              std::byte* values) {
  std::array<Row, kHeadersAhead> ring;
  const auto row_of = [&](std::size_t cell) -> Row& { return ring[cell % kHeadersAhead]; };
  const auto find = [&](std::size_t cell) {
    if (cell >= last) return;
    Row& row = row_of(cell);
    row.group = nullptr;
    if (cells.group_of_cell[cell] == kNoGroup || cells.begins[cell] == cells.ends[cell]) return;
    row = locate(groups[static_cast<std::size_t>(cells.group_of_cell[cell])],
                 static_cast<std::uint64_t>(cells.begins[cell]), static_cast<std::uint64_t>(cells.ends[cell]));
    RangeSource::prefetch_header(row.indices);
    RangeSource::prefetch_header(row.values);
  };
  const auto prefetch = [&](std::size_t cell) {
    if (cell >= last || row_of(cell).group == nullptr) return;
    const Row& row = row_of(cell);
    row.group->indices.prefetch(row.indices, row.n);
    row.group->values.prefetch(row.values, row.n);
  };
  for (std::size_t cell = first; cell < first + kHeadersAhead; ++cell) find(cell);
  for (std::size_t cell = first; cell < first + kBytesAhead; ++cell) prefetch(cell);
  const std::size_t value_bytes = element_bytes(dtype_);
  for (std::size_t cell = first; cell < last; ++cell) {
    prefetch(cell + kBytesAhead);
    if (const Row& row = row_of(cell); row.group != nullptr) {
      const auto at = static_cast<std::uint64_t>(indptr[cell]);
      decode_columns(row, cell, columns + at);
      decode_values(row, values + at * value_bytes);
      if (order_ == RowOrder::kCanonical) sorter_.sort({columns + at, row.n}, values + at * value_bytes, value_bytes);
    }
    find(cell + kHeadersAhead);  // takes the place of this cell
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
