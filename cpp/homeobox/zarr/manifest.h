// Manifest: the list of objects of one group, written last, so that the group can be checked and repaired without
// listing the store.
//
// `<group>/.hox-manifest` is lines of JSON: {"homeobox_manifest": 1, "objects": N}, then {"key", "bytes", "crc32c"}
// for each object in ascending key order, keys relative to the group, then {"crc32c"} over all bytes before it.
// Checksums are eight hexadecimal digits.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "homeobox/io/store.h"
#include "homeobox/zarr/stored_object.h"

namespace hox::zarr {

inline constexpr std::string_view kManifestName = ".hox-manifest";

// `objects` have store keys, all below `group_path`, in any order. Throws InvalidArgument for other or repeated keys.
StoredObject write_manifest(Store& store, std::string_view group_path, std::span<const StoredObject> objects);

// With store keys, ascending; nullopt when there is no manifest. Throws CorruptData when it contradicts itself.
std::optional<std::vector<StoredObject>> read_manifest(const Store& store, std::string_view group_path);

}  // namespace hox::zarr
