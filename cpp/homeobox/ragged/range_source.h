// RangeSource: the encoded chunks under some element ranges of one flat (one-dimensional) array, ready to decode.
//
// With a store that gives views nothing is fetched and every range of the array may be decoded. Otherwise the chunks
// under the ranges that were announced are fetched, joined into few requests, before the first decode; so decoding
// never waits for I/O. Immutable once made; decode() may run on many threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "homeobox/zarr/array.h"

namespace hox::ragged {

class RangeSource {
 public:
  // Ranges are half-open; empty ones are allowed. Throws OutOfRange when one leaves the array, CorruptData when the
  // array is not one-dimensional.
  RangeSource(std::shared_ptr<const zarr::Array> array, std::span<const std::int64_t> begins,
              std::span<const std::int64_t> ends, const ReadOptions& options = {});

  // Elements [begin, end), which lie in an announced range, as stored. `out` is aligned for the element type.
  void decode(std::uint64_t begin, std::uint64_t end, std::byte* out, codec::Scratch& scratch) const;

  // Hints for a decode() of the same range: first the line that tells where its bytes lie, later those bytes.
  void prefetch_header(std::uint64_t begin) const;
  void prefetch(std::uint64_t begin, std::uint64_t end) const;

  DataType dtype() const noexcept { return array_->metadata().dtype; }
  const zarr::Array& array() const noexcept { return *array_; }

 private:
  zarr::ChunkView chunk(std::uint64_t index) const;

  std::shared_ptr<const zarr::Array> array_;
  bool views_;
  std::vector<std::uint64_t> chunk_indexes_;  // ascending
  std::vector<zarr::EncodedChunk> chunks_;
};

}  // namespace hox::ragged
