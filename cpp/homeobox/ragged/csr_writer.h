// CsrWriter: writes the entries of a sparse group, row block by row block, in stored feature order.
//
// Rows are renumbered and sorted (stored_order.h) into memory that is used again for every block, and the arrays are
// given just the entries that they encode at once, so nothing is copied in between. Holds one group of entries per
// array and what ArrayWriter holds.
//
// For one thread at a time; works on all threads of the CPU pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "homeobox/base/raw_buffer.h"
#include "homeobox/ragged/stored_order.h"
#include "homeobox/zarr/array_writer.h"

namespace hox::ragged {

class CsrWriter {
 public:
  // An array of the group: stored features (uint32), or one layer of values.
  struct Target {
    std::unique_ptr<zarr::ArrayWriter> writer;
    std::size_t element_bytes;
  };
  // `feature_order`: local feature of each stored one; empty: as given. Throws InvalidArgument unless it is a
  // permutation of the features.
  CsrWriter(Target indices, std::vector<Target> layers, std::int64_t n_features,
            std::span<const std::uint32_t> feature_order);

  // All rows of `block`, whose indptr ascends, and the values of each layer, which lie where the block's indices do.
  // Throws InvalidArgument for what reorder_rows() refuses and for more entries than the arrays have; then the writer
  // is of no further use.
  void append(const CsrInput& block, std::span<const EntryArray> layers);

  // Finishes the arrays, indices last, and returns their objects. Call once.
  std::vector<zarr::StoredObject> finish();

 private:
  // Entries of one array that wait for the rest of those which are encoded with them.
  struct Slab {
    Target target;
    RawBuffer memory;
    std::size_t n_waiting = 0;  // elements, from the front

    std::byte* room(std::size_t n);  // for `n` more elements
    void commit(std::size_t n);      // they are there now
  };
  void append_rows(const CsrInput& block, std::span<const EntryArray> layers, std::size_t first, std::size_t last);

  Slab indices_;
  std::vector<Slab> layers_;
  std::int64_t n_features_;
  std::vector<std::uint32_t> stored_of_local_;
};

}  // namespace hox::ragged
