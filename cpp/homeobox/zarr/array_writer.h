// ArrayWriter: writes one new array, front to back along axis 0, holding a few shards of encoded chunks.
//
// Rows arrive in slabs of any length. Chunks are encoded in parallel as soon as their rows are there, while the shards
// before them are being written (write_behind.h). Each object is written once, and zarr.json after all the others: an
// array that was not finished cannot be opened. A write that fails is thrown by that append(), a later one, or
// finish().
//
// A chunk that is all fill value (zero) is left out, as zarr-python does; a shard is written even when all its chunks
// are, with one explicit chunk, because homeobox 0.2.2 does not take a missing shard for fill values.
//
// For one thread at a time. All arguments are checked by the constructor, before anything is written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "homeobox/base/data_type.h"
#include "homeobox/io/store.h"
#include "homeobox/zarr/json.h"
#include "homeobox/zarr/stored_object.h"

namespace hox::zarr {

struct ArrayOptions {
  DataType dtype = DataType::kUint8;
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> chunk_shape;
  // A multiple of chunk_shape; nullopt makes an unsharded array.
  std::optional<std::vector<std::uint64_t>> shard_shape;
  // The list that encodes a chunk, as in zarr.json.
  Json codecs = Json::array();
  Json attributes = Json::object();
  bool index_at_end = true;
};

class ArrayWriter {
 public:
  // Throws InvalidArgument or Unsupported for what cannot be written, Conflict when there is an array already.
  ArrayWriter(std::shared_ptr<Store> store, std::string_view path, const ArrayOptions& options);
  ArrayWriter(const ArrayWriter&) = delete;
  ArrayWriter& operator=(const ArrayWriter&) = delete;
  ~ArrayWriter();

  // The next `n_rows` rows, in C order and native byte order. May encode and write.
  void append(std::span<const std::byte> rows, std::uint64_t n_rows);

  // Writes what is left and zarr.json. Throws InvalidArgument when rows are missing, and Conflict when another writer
  // has finished this array since the constructor looked. Call once.
  const std::vector<StoredObject>& finish();

  // What was written, or is being written, so far.
  const std::vector<StoredObject>& objects() const noexcept;
  // Rows with which append() would next encode; given so many at once it copies none. 0 when it has all.
  std::uint64_t rows_wanted() const noexcept;
  // Rows that append() has taken.
  std::uint64_t n_rows() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hox::zarr
