#include "homeobox/ragged/range_source.h"

#include <algorithm>
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
    : array_(std::move(array)), views_(array_->has_views()) {
  check_ranges(*array_, begins, ends);
  if (views_) return;
  chunk_indexes_ = chunks_under(begins, ends, array_->chunk_elements());
  chunks_ = array_->fetch_chunks(chunk_indexes_, options);
}

zarr::ChunkView RangeSource::chunk(std::uint64_t index) const {
  if (views_) return array_->view_chunk(index);
  const auto found = std::lower_bound(chunk_indexes_.begin(), chunk_indexes_.end(), index);
  const zarr::EncodedChunk& fetched = chunks_[static_cast<std::size_t>(found - chunk_indexes_.begin())];
  return {fetched.bytes.bytes(), fetched.present};
}

void RangeSource::decode(std::uint64_t begin, std::uint64_t end, std::byte* out, codec::Scratch& scratch) const {
  const std::uint64_t chunk_elements = array_->chunk_elements();
  const std::vector<std::byte>& fill = array_->metadata().fill_value;
  while (begin < end) {
    const std::uint64_t index = begin / chunk_elements;
    const std::uint64_t chunk_begin = index * chunk_elements;
    const std::uint64_t to = std::min(end, chunk_begin + chunk_elements);
    const zarr::ChunkView encoded = chunk(index);
    if (encoded.present) {
      try {
        array_->chain().decode_range(encoded.bytes, begin - chunk_begin, to - chunk_begin, out, scratch);
      } catch (const CorruptData&) {
        array_->rethrow_with_context(index);
      }
    } else {
      for (std::uint64_t i = 0; i < to - begin; ++i) std::memcpy(out + i * fill.size(), fill.data(), fill.size());
    }
    out += (to - begin) * fill.size();
    begin = to;
  }
}

void RangeSource::prefetch_header(std::uint64_t begin) const {
  if (views_) __builtin_prefetch(array_->view_chunk(begin / array_->chunk_elements()).bytes.data());
}

void RangeSource::prefetch(std::uint64_t begin, std::uint64_t end) const {
  if (!views_) return;
  const std::uint64_t chunk_elements = array_->chunk_elements();
  const std::uint64_t chunk_begin = begin / chunk_elements * chunk_elements;
  const zarr::ChunkView encoded = array_->view_chunk(begin / chunk_elements);
  // A row that goes on in the next chunk leaves that part to the hardware.
  if (encoded.present)
    array_->chain().prefetch_range(encoded.bytes, begin - chunk_begin, std::min(end - chunk_begin, chunk_elements));
}

}  // namespace hox::ragged
