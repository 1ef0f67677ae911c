// Array: read access to one Zarr v3 array with a regular chunk grid, sharded or not.
//
// "Shard" is one stored object; "chunk" is the unit of decoding inside it (for an unsharded array they coincide).
// Chunks are numbered linearly, in C order over the whole inner chunk grid. An absent shard or chunk reads as the
// fill value. Shard indexes are fetched once, by one suffix request per shard, verified and kept.
//
// Opened with a manifest that lists it, an array holds zarr.json against the manifest's checksum, and every shard,
// when it is first used, against its size; then a shard is absent only where the manifest does not list it.
//
// Immutable to its users; the index cache is guarded inside, so an Array may be shared between threads.
// Fails with NotFound (no such array), Unsupported (codec or dtype), CorruptData (naming array, shard and chunk).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "homeobox/codec/chain.h"
#include "homeobox/io/store.h"
#include "homeobox/zarr/chunk_grid.h"
#include "homeobox/zarr/manifest.h"
#include "homeobox/zarr/metadata.h"

namespace hox::zarr {

// Encoded bytes of one chunk. Absent means: every element is the fill value.
struct EncodedChunk {
  Buffer bytes;
  bool present = false;
};

// Of several chunks, in the order asked, with the bytes that they keep in memory: what lies between chunks that came in
// one request is of no use, but there. Views keep none.
struct FetchedChunks {
  std::vector<EncodedChunk> chunks;
  std::uint64_t n_bytes = 0;
};

// One without ownership, valid as long as the Array.
struct ChunkView {
  std::span<const std::byte> bytes;
  bool present = false;
};

class Array {
 public:
  // One request. `manifest` is that of a group above, if it has one.
  static std::shared_ptr<const Array> open(std::shared_ptr<const Store> store, std::string_view path,
                                           std::shared_ptr<const Manifest> manifest = nullptr);
  ~Array();

  const ArrayMetadata& metadata() const noexcept;
  const codec::CodecChain& chain() const noexcept;
  const ChunkGrid& grid() const noexcept;
  const std::string& path() const noexcept;
  const Store& store() const noexcept;

  // Elements per chunk, and number of chunks of the whole array.
  std::uint64_t chunk_elements() const noexcept;
  std::uint64_t n_chunks() const noexcept;

  // Throws InvalidArgument or OutOfRange, naming the axis, unless [begin, end) is a box of the array.
  void check_box(std::span<const std::uint64_t> begin, std::span<const std::uint64_t> end) const;
  // Rows in all of the ranges. Throws InvalidArgument or OutOfRange, naming the range.
  std::uint64_t count_rows(std::span<const std::int64_t> begins, std::span<const std::int64_t> ends) const;

  // The half-open box [begin, end) per axis, in C order, into `out`. Decodes chunks in parallel on the CPU pool.
  void read(std::span<const std::uint64_t> begin, std::span<const std::uint64_t> end, std::span<std::byte> out,
            const ReadOptions& options = {}) const;

  // Rows [begins[i], ends[i]) of axis 0, one range after another, in the order asked; overlaps allowed.
  // Throws OutOfRange. One dimension or more; a row is all elements of the other axes.
  void read_ranges(std::span<const std::int64_t> begins, std::span<const std::int64_t> ends, std::span<std::byte> out,
                   const ReadOptions& options = {}) const;

  // --- for gather: encoded chunks, fetched apart from decoding ---

  // Fetches the encoded bytes of `chunks` (ascending, unique), joining neighbouring extents of a shard into few
  // requests; answered in the order asked. Blocks on I/O. From a store with views the bytes are views, so
  // store().check_views() is due after they were used.
  FetchedChunks fetch_chunks(std::span<const std::uint64_t> chunks, const ReadOptions& options = {}) const;

  // True when view_chunk is the way to read: the store gives views (Store::view), a shard holds many chunks, and this
  // process has mappings left for all shards (MappingQuota). An unsharded array would take one for each of its chunks.
  bool has_views() const noexcept;
  // Encoded bytes in place; after the first use of a shard without a lock, a copy or a system call.
  ChunkView view_chunk(std::uint64_t chunk) const;

  // Adds "array PATH, shard KEY, chunk N: " to a CorruptData message of a codec and rethrows. Call from a catch. A
  // view that broke wins, since it explains the corruption: StoreError.
  [[noreturn]] void rethrow_with_context(std::uint64_t chunk) const;

 private:
  struct Impl;
  explicit Array(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hox::zarr
