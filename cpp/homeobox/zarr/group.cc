#include "homeobox/zarr/group.h"

#include <string>

#include "homeobox/base/error.h"
#include "homeobox/zarr/node.h"

namespace hox::zarr {

StoredObject write_group(Store& store, std::string_view path, const Json& attributes) {
  if (!attributes.is_object()) fail<InvalidArgument>("group {}: an object expected as attributes", path);
  const std::string text = dump_json({{"attributes", attributes}, {"zarr_format", 3}, {"node_type", "group"}});
  const std::string key = join_path(path, kMetadataName);
  const auto bytes = std::as_bytes(std::span(text));
  if (store.create(key, bytes)) return describe_object(key, bytes);
  const auto existing = store.read(key);
  if (!existing) fail<Conflict>("group {}: zarr.json was removed while it was being written", path);
  const Json json =
      parse_json({reinterpret_cast<const char*>(existing->data()), existing->size()}, "group " + std::string(path));
  if (!json.is_object() || !json.contains("node_type") || json["node_type"] != "group")
    fail<Conflict>("group {}: another node is there already", path);
  return describe_object(key, existing->bytes());
}

}  // namespace hox::zarr
