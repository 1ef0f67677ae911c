// Groups: nodes of a Zarr hierarchy that hold other nodes and attributes, but no data.
//
// Our own groups and the root carry {"homeobox": {"format": N}} as an attribute; those of homeobox 0.2.2 do not. A
// format that is newer than kFormat is Unsupported, before anything else of the group is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "homeobox/io/store.h"
#include "homeobox/zarr/array.h"
#include "homeobox/zarr/json.h"
#include "homeobox/zarr/manifest.h"
#include "homeobox/zarr/stored_object.h"

namespace hox::zarr {

// FORMAT.md's version.
inline constexpr std::uint64_t kFormat = 1;

// Writes zarr.json of the group at `path` ("" is the root) unless there is one; describes the one that is there
// afterwards, whose attributes may differ. Ancestors are the caller's business. Throws Conflict when an array is there.
StoredObject write_group(Store& store, std::string_view path, const Json& attributes = Json::object());

// Whether a group lies at `path`. One request. Throws CorruptData when its document is not one of a group, Unsupported
// when its format is newer than ours; both name it.
bool find_group(const Store& store, std::string_view path);

// One group's arrays, for reading. Where the group has a manifest, it is read once and everything opened through here
// is held against it. Immutable, so it may be shared between threads.
class Group {
 public:
  // Two requests, at the same time. A group without a document of its own is none to complain about: Zarr allows it,
  // and its arrays answer for themselves. Throws as find_group().
  static std::shared_ptr<const Group> open(std::shared_ptr<const Store> store, std::string path);

  const std::string& path() const noexcept { return path_; }

  // `name` is relative: "csr/layers/counts". Throws as Array::open().
  std::shared_ptr<const Array> open_array(std::string_view name) const;
  // Whether there is a node of that name; asks the store only where there is no manifest.
  bool has_node(std::string_view name) const;

 private:
  Group(std::shared_ptr<const Store> store, std::string path, std::shared_ptr<const Manifest> manifest)
      : store_(std::move(store)), path_(std::move(path)), manifest_(std::move(manifest)) {}

  std::shared_ptr<const Store> store_;
  std::string path_;
  std::shared_ptr<const Manifest> manifest_;  // nullptr: none
};

}  // namespace hox::zarr
