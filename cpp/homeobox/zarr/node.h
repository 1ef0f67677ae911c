// Keys of nodes: where the parts of a Zarr hierarchy lie in a store.
#pragma once

#include <string>
#include <string_view>

namespace hox::zarr {

inline constexpr std::string_view kMetadataName = "zarr.json";

// `name` below the node at `path`; the root has the empty path.
inline std::string join_path(std::string_view path, std::string_view name) {
  std::string key(path);
  if (!key.empty()) key += '/';
  key += name;
  return key;
}

}  // namespace hox::zarr
