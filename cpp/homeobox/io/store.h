// Store: where bytes live. A flat map from keys ("group/csr/indices/c/0") to immutable objects.
//
// Implementations are safe to call from any thread. A missing object is an answer (nullopt), not an error.
// Failures are StoreError, after the retry policy of the implementation is spent. Behaviour is added by wrapping:
// RetryingStore(CountingStore(FileStore)). Every implementation passes io/testing/store_conformance.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "homeobox/base/buffer.h"

namespace hox {

// A key is one or more names joined by "/": no name is empty, "." or "..", and there is no NUL, so that a key can be
// a path below a directory without leaving it. Throws InvalidArgument, saying what is wrong.
void check_key(std::string_view key);

// Bytes [begin, end) of an object.
struct ByteRange {
  std::uint64_t begin;
  std::uint64_t end;
};

struct ObjectInfo {
  std::string key;
  std::uint64_t bytes;
};

struct ReadOptions {
  std::stop_token stop;
};

// The tail of an object, and how long the whole object is.
struct Suffix {
  Buffer bytes;
  std::uint64_t object_bytes;
};

// Made by std::make_shared, so that a Store handed to Python and back keeps one owner count and the last owner,
// on whatever thread, does not need Python.
class Store : public std::enable_shared_from_this<Store> {
 public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // The whole object.
  virtual std::optional<Buffer> read(std::string_view key, const ReadOptions& options = {}) const = 0;

  // Ranges of one object, answered in the order asked; overlaps allowed. A range that leaves the object is a
  // StoreError that names the key, the range and the object's size.
  virtual std::optional<std::vector<Buffer>> read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                         const ReadOptions& options = {}) const = 0;

  // The last `n_bytes` bytes in one request; the whole object when it is shorter.
  virtual std::optional<Suffix> read_suffix(std::string_view key, std::uint64_t n_bytes,
                                            const ReadOptions& options = {}) const = 0;

  // The object as addressable memory, when having it costs no reading up front (a mapped file, a heap block).
  // nullopt: missing, or this store has no such thing; ask read_ranges. A view stays valid after remove().
  virtual std::optional<Buffer> view(std::string_view key) const {
    check_key(key);
    return std::nullopt;
  }

  // Throws StoreError if bytes under an earlier view() could not be read (a mapped file was cut short by another
  // process). Call it after the views were used and before the result is handed out.
  virtual void check_views() const {}

  // Size in bytes, without reading.
  virtual std::optional<std::uint64_t> size(std::string_view key) const = 0;

  // Replaces the object. Readers see the old or the new bytes, never a mixture; durable when it returns.
  virtual void write(std::string_view key, std::span<const std::byte> bytes) = 0;

  // Writes only if there is no such object, atomically among all writers; false if there is one.
  virtual bool create(std::string_view key, std::span<const std::byte> bytes) = 0;

  // Removing a missing object is not an error.
  virtual void remove(std::string_view key) = 0;

  // All objects whose key starts with `prefix`, in ascending key order. `prefix` is matched as text.
  virtual std::vector<ObjectInfo> list(std::string_view prefix) const = 0;

  // For messages: "file:///data/atlas/zarr_store".
  virtual std::string describe() const = 0;
};

}  // namespace hox
