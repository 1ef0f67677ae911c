#include "homeobox/ragged/row_decoder.h"

#include <cstring>

#include "homeobox/base/error.h"
#include "homeobox/ragged/convert.h"

namespace hox::ragged {
namespace {

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
    fail<CorruptData>("array {}: element {} (cell {} of the query) is feature {}, but the layout has {}",
                      source.array().path(), begin + mapped, cell, columns[mapped], group.columns->n_features());
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
