#include "homeobox/ragged/range_source.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "homeobox/base/error.h"

namespace hox::ragged {
namespace {

void check_ranges(const zarr::Array& array, std::span<const std::int64_t> begins, std::span<const std::int64_t> ends) {
  const auto& shape = array.metadata().shape;
  if (shape.size() != 1) fail<CorruptData>("array {}: one dimension expected, {} found", array.path(), shape.size());
  for (std::size_t i = 0; i < begins.size(); ++i) {
    if (begins[i] < 0 || begins[i] > ends[i] || static_cast<std::uint64_t>(ends[i]) > shape[0])
      fail<OutOfRange>("array {}: range {} is [{}, {}), outside its {} elements", array.path(), i, begins[i], ends[i],
                       shape[0]);
  }
}

std::vector<std::uint64_t> chunks_under(std::span<const std::int64_t> begins, std::span<const std::int64_t> ends,
                                        std::uint64_t chunk_elements) {
  std::vector<std::uint64_t> chunks;
  for (std::size_t i = 0; i < begins.size(); ++i) {
    if (begins[i] == ends[i]) continue;
    const std::uint64_t last = static_cast<std::uint64_t>(ends[i] - 1) / chunk_elements;
    for (std::uint64_t chunk = static_cast<std::uint64_t>(begins[i]) / chunk_elements; chunk <= last; ++chunk)
      if (chunks.empty() || chunks.back() != chunk) chunks.push_back(chunk);
  }
  std::sort(chunks.begin(), chunks.end());
  chunks.erase(std::unique(chunks.begin(), chunks.end()), chunks.end());
  return chunks;
}

}  // namespace

RangeSource::RangeSource(std::shared_ptr<const zarr::Array> array, std::span<const std::int64_t> begins,
                         std::span<const std::int64_t> ends, const ReadOptions& options)
    : array_(std::move(array)),
      views_(array_->has_views()),
      chunk_elements_(array_->chunk_elements()),
      chunk_shift_(std::has_single_bit(chunk_elements_) ? static_cast<std::uint32_t>(std::countr_zero(chunk_elements_))
                                                        : 0) {
  check_ranges(*array_, begins, ends);
  if (views_) return;
  chunk_indexes_ = chunks_under(begins, ends, array_->chunk_elements());
  fetched_ = array_->fetch_chunks(chunk_indexes_, options);
}

zarr::ChunkView RangeSource::chunk(std::uint64_t index) const {
  if (views_) return array_->view_chunk(index);
  const auto found = std::lower_bound(chunk_indexes_.begin(), chunk_indexes_.end(), index);
  const auto& chunk = fetched_.chunks[static_cast<std::size_t>(found - chunk_indexes_.begin())];
  return {chunk.bytes.bytes(), chunk.present};
}

RangeSource::Start RangeSource::locate(std::uint64_t element) const {
  Start start;
  start.chunk = chunk_shift_ != 0 ? element >> chunk_shift_ : element / chunk_elements_;
  start.element = element - start.chunk * chunk_elements_;
  start.encoded = chunk(start.chunk);
  return start;
}

void RangeSource::prefetch(const Start& start, std::uint64_t n) const noexcept {
  // A row that goes on in the next chunk leaves that part to the hardware.
  if (start.encoded.present)
    array_->chain().prefetch_range(start.encoded.bytes, start.element, std::min(start.element + n, chunk_elements_));
}

bool RangeSource::decodes_ranges(std::uint64_t element) const {
  if (!array_->chain().decodes_ranges()) return false;
  const Start start = locate(element);
  return !start.encoded.present || array_->chain().decodes_ranges_of(start.encoded.bytes);
}

void RangeSource::decode_part(const Start& start, std::uint64_t n, std::byte* out, codec::Scratch& scratch,
                              DecodedChunk& kept) const {
  const codec::CodecChain& chain = array_->chain();
  const std::size_t bytes = element_bytes(dtype());
  try {
    if (chain.decodes_ranges_of(start.encoded.bytes)) [[likely]]
      return chain.decode_range(start.encoded.bytes, start.element, start.element + n, out, scratch);
    if (kept.array != array_.get() || kept.chunk != start.chunk) {
      kept.array = nullptr;
      if (kept.elements.size() != chunk_elements_ * bytes) kept.elements = RawBuffer(chunk_elements_ * bytes);
      chain.decode(start.encoded.bytes, {kept.elements.data(), kept.elements.size()}, scratch);
      kept.array = array_.get();
      kept.chunk = start.chunk;
    }
  } catch (const CorruptData&) {
    array_->rethrow_with_context(start.chunk);
  }
  std::memcpy(out, kept.elements.data() + start.element * bytes, n * bytes);
}

void RangeSource::decode(Start start, std::uint64_t n, std::byte* out, codec::Scratch& scratch,
                         DecodedChunk& kept) const {
  const std::vector<std::byte>& fill = array_->metadata().fill_value;
  while (true) {
    const std::uint64_t n_here = std::min(n, chunk_elements_ - start.element);
    if (start.encoded.present) {
      decode_part(start, n_here, out, scratch, kept);
    } else {
      for (std::uint64_t i = 0; i < n_here; ++i) std::memcpy(out + i * fill.size(), fill.data(), fill.size());
    }
    n -= n_here;
    if (n == 0) return;
    out += n_here * fill.size();
    start = {start.chunk + 1, 0, chunk(start.chunk + 1)};
  }
}

}  // namespace hox::ragged
