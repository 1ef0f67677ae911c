// PartWriter: decodes the wanted parts of one chunk into an output array.
//
// Parts that lie contiguous in chunk and output decode straight into place, by ranges where the codecs allow it; else
// the chunk is decoded once and the parts are copied. An absent chunk gives the fill value.
//
// Immutable; workers share it and use memory of their own thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "homeobox/zarr/array.h"

namespace hox::zarr {

// One wanted part: its begin in the chunk, its begin in the output and its extents, one entry per axis.
struct Part {
  std::vector<std::uint64_t> chunk_begin;
  std::vector<std::uint64_t> out_begin;
  std::vector<std::uint64_t> extents;
};

class PartWriter {
 public:
  // `out` is a C-order array of `out_shape`. All must outlive this.
  PartWriter(const Array& array, std::span<std::byte> out, std::span<const std::uint64_t> out_shape);

  // `n_parts` parts of one chunk, the i-th as describe(i, part) says. Throws CorruptData.
  template <class Describe>
  void write(const ChunkView& encoded, std::size_t n_parts, const Describe& describe) const {
    thread_local Part part;
    Plan plan;
    for (std::size_t i = 0; i < n_parts; ++i) {
      describe(i, part);
      extend(plan, part);
    }
    const std::span<const std::byte> whole = decode_whole_if_better(encoded, plan);
    for (std::size_t i = 0; i < n_parts; ++i) {
      describe(i, part);
      write_part(encoded, whole, part);
    }
  }

 private:
  struct Plan {
    std::uint64_t n_parts = 0;
    std::uint64_t elements = 0;
    bool contiguous = true;
  };
  void extend(Plan& plan, const Part& part) const;
  // The decoded chunk, where copying from it beats decoding the parts one by one; else empty.
  std::span<const std::byte> decode_whole_if_better(const ChunkView& encoded, const Plan& plan) const;
  void write_part(const ChunkView& encoded, std::span<const std::byte> whole, const Part& part) const;

  const Array& array_;
  std::span<std::byte> out_;
  std::span<const std::uint64_t> out_shape_;
  std::size_t width_;
};

}  // namespace hox::zarr
