// Manifest: the list of objects of one group, written last, so that the group can be checked and repaired without
// listing the store.
//
// `<group>/.hox-manifest` is lines of JSON: {"homeobox_manifest": 1, "objects": N}, then {"key", "bytes", "crc32c"}
// for each object in ascending key order, keys relative to the group, then {"crc32c"} over all bytes before it.
// Checksums are eight hexadecimal digits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "homeobox/io/store.h"
#include "homeobox/zarr/stored_object.h"

namespace hox::zarr {

inline constexpr std::string_view kManifestName = ".hox-manifest";

// `objects` have store keys, all below `group_path`, in any order. Throws InvalidArgument for other or repeated keys.
StoredObject write_manifest(Store& store, std::string_view group_path, std::span<const StoredObject> objects);

// With store keys, ascending; nullopt when there is no manifest. Throws CorruptData when it contradicts itself.
std::optional<std::vector<StoredObject>> read_manifest(const Store& store, std::string_view group_path);

// The listed objects of one group, to hold what is read against. Immutable, so it may be shared between threads.
class Manifest {
 public:
  // One request. nullptr when there is none: homeobox 0.2.2 writes none. Throws CorruptData, naming the group.
  static std::shared_ptr<const Manifest> read(const Store& store, std::string_view group_path);

  // The entry of a store key; nullptr when it is not listed.
  const StoredObject* find(std::string_view key) const noexcept;

 private:
  explicit Manifest(std::vector<StoredObject> objects) noexcept : objects_(std::move(objects)) {}

  std::vector<StoredObject> objects_;  // ascending keys
};

// How an object differs from its entry, as the end of a message; nullopt when it does not. nullptr: not listed.
// nullopt: there is no such object.
std::optional<std::string> size_mismatch(const StoredObject* listed, std::optional<std::uint64_t> n_bytes);
// The same with the checksum of all bytes.
std::optional<std::string> mismatch(const StoredObject* listed, std::span<const std::byte> bytes);

}  // namespace hox::zarr
