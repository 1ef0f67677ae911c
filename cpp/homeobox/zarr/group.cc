#include "homeobox/zarr/group.h"

#include <optional>
#include <span>
#include <string>

#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/zarr/node.h"

namespace hox::zarr {
namespace {

std::string describe(const Store& store, std::string_view path) {
  return path.empty() ? "root group of " + store.describe() : "group " + std::string(path);
}

Json parse_document(const Buffer& document, const std::string& where) {
  return parse_json({reinterpret_cast<const char*>(document.data()), document.size()}, where);
}

bool is_group(const Json& document) {
  return document.is_object() && document.contains("node_type") && document["node_type"] == "group";
}

void check_format(const Json& document, const std::string& where) {
  if (!is_group(document) || !document.contains("zarr_format") || document["zarr_format"] != 3)
    fail<CorruptData>("{}: zarr.json: the document of a Zarr v3 group expected, found another", where);
  if (!document.contains("attributes")) return;
  const Json& attributes = document["attributes"];
  if (!attributes.is_object())
    fail<CorruptData>("{}: zarr.json: an object expected as attributes, found {}", where, attributes.type_name());
  if (!attributes.contains("homeobox")) return;
  const Json& ours = attributes["homeobox"];
  const bool numbered = ours.is_object() && ours.contains("format") && ours["format"].is_number_unsigned();
  if (!numbered || ours["format"].get<std::uint64_t>() == 0)
    fail<CorruptData>("{}: zarr.json: {{\"format\": {}}} expected as attribute \"homeobox\", found {}", where, kFormat,
                      ours.dump(-1, ' ', true));
  if (ours["format"].get<std::uint64_t>() > kFormat)
    fail<Unsupported>("{}: format {} is newer than {}, the newest that this library reads", where,
                      ours["format"].get<std::uint64_t>(), kFormat);
}

}  // namespace

StoredObject write_group(Store& store, std::string_view path, const Json& attributes) {
  if (!attributes.is_object()) fail<InvalidArgument>("group {}: an object expected as attributes", path);
  const std::string text = dump_json({{"attributes", attributes}, {"zarr_format", 3}, {"node_type", "group"}});
  const std::string key = join_path(path, kMetadataName);
  const auto bytes = std::as_bytes(std::span(text));
  if (store.create(key, bytes)) return describe_object(key, bytes);
  const auto existing = store.read(key);
  if (!existing) fail<Conflict>("group {}: zarr.json was removed while it was being written", path);
  if (!is_group(parse_document(*existing, describe(store, path))))
    fail<Conflict>("group {}: another node is there already", path);
  return describe_object(key, existing->bytes());
}

bool find_group(const Store& store, std::string_view path) {
  const auto document = store.read(join_path(path, kMetadataName));
  if (!document) return false;
  const std::string where = describe(store, path);
  check_format(parse_document(*document, where), where);
  return true;
}

std::shared_ptr<const Group> Group::open(std::shared_ptr<const Store> store, std::string path) {
  const std::string key = join_path(path, kMetadataName);
  std::optional<Buffer> document;
  std::shared_ptr<const Manifest> manifest;
  const auto fetch = [&](std::size_t i) {
    if (i == 0) {
      document = store->read(key);
    } else {
      manifest = Manifest::read(*store, path);
    }
  };
  if (store->view(key)) {
    // Local: another thread takes longer to wake than the second read does.
    for (const std::size_t i : {0U, 1U}) fetch(i);
  } else {
    parallel_for(Runtime::io(), 2, fetch);
  }
  const std::string where = describe(*store, path);
  // The manifest first: it tells a damaged document from one of a newer format.
  if (const StoredObject* listed = manifest ? manifest->find(key) : nullptr) {
    const auto difference = document ? mismatch(listed, document->bytes()) : size_mismatch(listed, std::nullopt);
    if (difference) fail<CorruptData>("{}: zarr.json: {}", where, *difference);
  }
  if (document) check_format(parse_document(*document, where), where);
  return std::shared_ptr<const Group>(new Group(std::move(store), std::move(path), std::move(manifest)));
}

std::shared_ptr<const Array> Group::open_array(std::string_view name) const {
  return Array::open(store_, join_path(path_, name), manifest_);
}

bool Group::has_node(std::string_view name) const {
  const std::string key = join_path(join_path(path_, name), kMetadataName);
  return manifest_ ? manifest_->find(key) != nullptr : store_->size(key).has_value();
}

}  // namespace hox::zarr
