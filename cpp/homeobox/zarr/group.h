// Groups: nodes of a Zarr hierarchy that hold other nodes and attributes, but no data.
#pragma once

#include <memory>
#include <string_view>

#include "homeobox/io/store.h"
#include "homeobox/zarr/json.h"
#include "homeobox/zarr/stored_object.h"

namespace hox::zarr {

// Writes zarr.json of the group at `path` ("" is the root) unless there is one; describes the one that is there
// afterwards, whose attributes may differ. Ancestors are the caller's business. Throws Conflict when an array is there.
StoredObject write_group(Store& store, std::string_view path, const Json& attributes = Json::object());

}  // namespace hox::zarr
