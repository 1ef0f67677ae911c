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

#include "homeobox/base/raw_buffer.h"
#include "homeobox/zarr/array.h"

namespace hox::ragged {

class RangeSource {
 public:
  // Ranges are half-open; empty ones are allowed. Throws OutOfRange when one leaves the array, CorruptData when the
  // array is not one-dimensional.
  RangeSource(std::shared_ptr<const zarr::Array> array, std::span<const std::int64_t> begins,
              std::span<const std::int64_t> ends, const ReadOptions& options = {});

  // Where a range starts: found once, used for prefetching and decoding.
  struct Start {
    std::uint64_t chunk = 0;
    std::uint64_t element = 0;  // inside the chunk
    zarr::ChunkView encoded;
  };
  // `element` lies in an announced range.
  Start locate(std::uint64_t element) const;

  // Hints for a decode of `n` elements from `start`: first the line that tells where the bytes lie, later those bytes.
  static void prefetch_header(const Start& start) noexcept { __builtin_prefetch(start.encoded.bytes.data()); }
  void prefetch(const Start& start, std::uint64_t n) const noexcept;

  // A chunk that decodes only as a whole, kept for the next range in it. One per reader and array.
  struct DecodedChunk {
    const zarr::Array* array = nullptr;  // outlives this
    std::uint64_t chunk = 0;
    RawBuffer elements;
  };
  // Whether the chunk of `element` decodes in parts.
  bool decodes_ranges(std::uint64_t element) const;

  // `n` elements from `start`, which lie in an announced range, as stored. `out` is aligned for the element type.
  void decode(Start start, std::uint64_t n, std::byte* out, codec::Scratch& scratch, DecodedChunk& kept) const;

  // Of the chunks that were fetched, and what came with them; 0 with views.
  std::uint64_t fetched_bytes() const noexcept { return fetched_.n_bytes; }

  DataType dtype() const noexcept { return array_->metadata().dtype; }
  const zarr::Array& array() const noexcept { return *array_; }

 private:
  zarr::ChunkView chunk(std::uint64_t index) const;
  void decode_part(const Start& start, std::uint64_t n, std::byte* out, codec::Scratch& scratch,
                   DecodedChunk& kept) const;

  std::shared_ptr<const zarr::Array> array_;
  bool views_;
  std::uint64_t chunk_elements_;
  std::uint32_t chunk_shift_;                 // of a power of two, else 0: one division per row is felt
  std::vector<std::uint64_t> chunk_indexes_;  // ascending
  zarr::FetchedChunks fetched_;               // parallel to them
};

}  // namespace hox::ragged
