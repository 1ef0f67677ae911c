// Transposition: the cell-major arrays of a sparse group once more, feature-major, in bounded memory.
//
// First pass: blocks of CSR entries are read, decoded and transposed in memory into runs (csc_run.h), which stay in
// memory or go to a scratch file (run_store.h). Second pass: ranges of features are joined from all runs (csc_merge.h)
// and appended to the new arrays. Reading and writing overlap with both. Everything is read once and written once, so
// the time per entry does not depend on the size.
//
// The result has, for each feature in the order of the layout, its entries by ascending cell row; entries that repeat
// a place keep their order. Values keep their dtype, bit for bit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "homeobox/io/store.h"
#include "homeobox/zarr/json.h"
#include "homeobox/zarr/stored_object.h"

namespace hox::ragged {

// A one-dimensional array to write. Paths are relative to the group.
struct NewArray {
  std::string path;
  std::uint64_t chunk_elements = 0;
  // nullopt: one object per chunk.
  std::optional<std::uint64_t> shard_elements;
  zarr::Json codecs;
};

struct TransposedLayer {
  std::string source;
  NewArray target;
};

struct TransposeJob {
  std::shared_ptr<Store> store;
  std::string group;
  std::string indices_path = "csr/indices";
  // May name an array that is not there: features are then stored in the order of the layout.
  std::string feature_order_path = "csr/feature_order";
  // int64, one more than cells: entries row_bounds[i] to row_bounds[i + 1] are those of cell i, all of them in order.
  std::span<const std::int64_t> row_bounds;
  std::uint32_t n_features = 0;
  std::vector<TransposedLayer> layers;
  // Row numbers, and where each feature begins. Without the first they are there already, with feature bounds
  // `known_bounds`, and only layers are added.
  std::optional<NewArray> rows;
  NewArray feature_bounds;
  std::span<const std::int64_t> known_bounds;

  std::uint64_t memory_bytes = std::uint64_t{256} << 20;
  // Must exist if the data does not fit in memory.
  std::string scratch_directory;
  // Called on the calling thread some times a second with entries done, of 2 * n_entries.
  std::function<void(std::uint64_t n_done)> on_progress;
  std::stop_token stop;
};

// What was written, in order; the feature bounds come last, as the sign that the rest is there.
//
// Throws InvalidArgument, NotFound and Conflict before anything is written, among them for row bounds that do not
// cover the arrays; CorruptData for stored bytes, an index that is no feature, or bounds unlike `known_bounds`;
// StoreError; Cancelled.
std::vector<zarr::StoredObject> transpose_csr(const TransposeJob& job);

}  // namespace hox::ragged
