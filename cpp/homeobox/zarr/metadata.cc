#include "homeobox/zarr/metadata.h"

#include <functional>
#include <set>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"
#include "homeobox/zarr/fill_value.h"

namespace hox::zarr {
namespace {

constexpr std::size_t kMaxRank = 32;
// A chunk is decoded as a whole at times, so a larger one would be a way to exhaust memory with a small file.
constexpr std::uint64_t kMaxChunkBytes = std::uint64_t{1} << 32;

struct NamedConfiguration {
  std::string name;
  Json configuration;
};

// {"name": ..., "configuration": {...}} or a bare name. The errors of this file are InvalidArgument until parse()
// says which array they are about.
NamedConfiguration parse_named(const Json& json, const char* what) {
  if (json.is_string()) return {json.get<std::string>(), Json::object()};
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string())
    fail<InvalidArgument>("{}: an object with a name expected, found {}", what, json.dump());
  NamedConfiguration result{json["name"].get<std::string>(), Json::object()};
  if (json.contains("configuration")) result.configuration = json["configuration"];
  if (!result.configuration.is_object())
    fail<InvalidArgument>("{}: an object expected as configuration, found {}", what, result.configuration.dump());
  return result;
}

const Json& require(const Json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end()) fail<InvalidArgument>("{} is missing", member);
  return *found;
}

std::vector<std::uint64_t> parse_shape(const Json& json, const char* what, std::uint64_t least) {
  if (!json.is_array() || json.size() > kMaxRank)
    fail<InvalidArgument>("{}: a list of up to {} integers expected, found {}", what, kMaxRank, json.dump());
  std::vector<std::uint64_t> shape;
  for (const Json& extent : json) {
    // Positions are int64 for callers, so no axis may be longer.
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() < least ||
        extent.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
      fail<InvalidArgument>("{}: integers of at least {} expected, found {}", what, least, extent.dump());
    shape.push_back(extent.get<std::uint64_t>());
  }
  return shape;
}

void check_members(const Json& object) {
  static const std::set<std::string, std::less<>> known = {
      "zarr_format", "node_type", "shape",      "data_type",       "chunk_grid",          "chunk_key_encoding",
      "fill_value",  "codecs",    "attributes", "dimension_names", "storage_transformers"};
  for (const auto& [member, value] : object.items()) {
    if (known.contains(member)) continue;
    const bool optional = value.is_object() && value.contains("must_understand") && value["must_understand"] == false;
    if (!optional) fail<Unsupported>("member \"{}\" is not supported", member);
  }
}

DataType parse_dtype(const Json& json) {
  if (!json.is_string() && !json.is_object())
    fail<InvalidArgument>("data_type: a name expected, found {}", json.dump());
  const NamedConfiguration named = parse_named(json, "data_type");
  const auto dtype = parse_data_type(named.name);
  if (!dtype || !named.configuration.empty()) fail<Unsupported>("data_type {} is not supported", json.dump());
  return *dtype;
}

std::vector<std::uint64_t> parse_chunk_grid(const Json& json, std::size_t rank) {
  const NamedConfiguration grid = parse_named(json, "chunk_grid");
  if (grid.name != "regular") fail<Unsupported>("chunk_grid \"{}\" is not supported", grid.name);
  std::vector<std::uint64_t> shape = parse_shape(require(grid.configuration, "chunk_shape"), "chunk_shape", 1);
  if (shape.size() != rank) fail<InvalidArgument>("chunk_shape: {} axes expected, found {}", rank, shape.size());
  return shape;
}

ChunkKeyEncoding parse_key_encoding(const Json& json) {
  const NamedConfiguration named = parse_named(json, "chunk_key_encoding");
  if (named.name != "default" && named.name != "v2")
    fail<Unsupported>("chunk_key_encoding \"{}\" is not supported", named.name);
  ChunkKeyEncoding encoding{named.name == "v2", named.name == "v2" ? '.' : '/'};
  for (const auto& [member, value] : named.configuration.items()) {
    if (member != "separator") fail<Unsupported>("chunk_key_encoding: member \"{}\" is not supported", member);
    if (value != "/" && value != ".")
      fail<InvalidArgument>("chunk_key_encoding: separator \"/\" or \".\" expected, found {}", value.dump());
    encoding.separator = value.get<std::string>()[0];
  }
  return encoding;
}

void parse_index_codecs(const Json& codecs, ShardIndexEncoding& encoding) {
  if (!codecs.is_array()) fail<InvalidArgument>("index_codecs: a list expected, found {}", codecs.type_name());
  encoding.has_crc32c = false;
  bool has_bytes = false;
  for (const Json& json : codecs) {
    const NamedConfiguration codec = parse_named(json, "index_codecs");
    if (codec.name == "bytes" && !has_bytes) {
      const nlohmann::json configuration = codec.configuration;
      codec::Configuration members("bytes", configuration);
      const std::string endian = members.text("endian").value_or("little");
      members.finish();
      if (endian != "little" && endian != "big")
        fail<InvalidArgument>("index_codecs: \"little\" or \"big\" expected as endian, found \"{}\"", endian);
      encoding.big_endian = endian == "big";
      has_bytes = true;
    } else if (codec.name == "crc32c" && has_bytes && !encoding.has_crc32c) {
      encoding.has_crc32c = true;
    } else {
      fail<Unsupported>("index_codecs: bytes, then at most crc32c, is supported; found {}", codecs.dump());
    }
  }
  if (!has_bytes) fail<InvalidArgument>("index_codecs: bytes is missing");
}

void parse_sharding(const Json& configuration, ArrayMetadata& metadata) {
  metadata.is_sharded = true;
  metadata.chunk_shape = parse_shape(require(configuration, "chunk_shape"), "sharding_indexed: chunk_shape", 1);
  metadata.codecs = require(configuration, "codecs");
  for (const auto& [member, value] : configuration.items()) {
    if (member == "index_codecs") {
      parse_index_codecs(value, metadata.index_encoding);
    } else if (member == "index_location") {
      if (value != "start" && value != "end")
        fail<InvalidArgument>("index_location: \"start\" or \"end\" expected, found {}", value.dump());
      metadata.index_encoding.at_end = value == "end";
    } else if (member != "chunk_shape" && member != "codecs") {
      fail<Unsupported>("sharding_indexed: member \"{}\" is not supported", member);
    }
  }
  if (metadata.chunk_shape.size() != metadata.shape.size())
    fail<InvalidArgument>("sharding_indexed: chunk_shape of {} axes expected, found {}", metadata.shape.size(),
                          metadata.chunk_shape.size());
  for (std::size_t axis = 0; axis < metadata.shape.size(); ++axis)
    if (metadata.shard_shape[axis] % metadata.chunk_shape[axis] != 0)
      fail<InvalidArgument>("sharding_indexed: shards of {} are not a multiple of chunks of {} on axis {}",
                            metadata.shard_shape[axis], metadata.chunk_shape[axis], axis);
}

void parse_codecs(const Json& codecs, ArrayMetadata& metadata) {
  if (!codecs.is_array()) fail<InvalidArgument>("codecs: a list expected, found {}", codecs.type_name());
  metadata.codecs = codecs;
  for (const Json& json : codecs) {
    const NamedConfiguration codec = parse_named(json, "codecs");
    if (codec.name != "sharding_indexed") continue;
    if (codecs.size() > 1)
      fail<Unsupported>("sharding_indexed beside other codecs is not supported: {}", codecs.dump());
    parse_sharding(codec.configuration, metadata);
  }
  for (const Json& json : metadata.codecs)
    if (parse_named(json, "codecs").name == "sharding_indexed" && metadata.is_sharded)
      fail<Unsupported>("sharding_indexed inside sharding_indexed is not supported");
}

void check_chunk_bytes(const ArrayMetadata& metadata) {
  std::uint64_t bytes = element_bytes(metadata.dtype);
  for (const std::uint64_t extent : metadata.chunk_shape) {
    bytes = extent > kMaxChunkBytes ? kMaxChunkBytes + 1 : bytes * extent;
    if (bytes > kMaxChunkBytes)
      fail<Unsupported>("chunks of {} {} elements are larger than {} bytes", fmt::join(metadata.chunk_shape, " x "),
                        name(metadata.dtype), kMaxChunkBytes);
  }
}

ArrayMetadata parse_checked(const Json& json) {
  if (!json.is_object()) fail<InvalidArgument>("an object expected, found {}", json.type_name());
  if (require(json, "zarr_format") != 3)
    fail<Unsupported>("zarr_format {} is not supported", json["zarr_format"].dump());
  if (require(json, "node_type") != "array") fail<NotFound>("an array expected, found {}", json["node_type"].dump());
  check_members(json);
  ArrayMetadata metadata;
  metadata.shape = parse_shape(require(json, "shape"), "shape", 0);
  metadata.dtype = parse_dtype(require(json, "data_type"));
  metadata.shard_shape = parse_chunk_grid(require(json, "chunk_grid"), metadata.shape.size());
  metadata.chunk_shape = metadata.shard_shape;
  metadata.key_encoding = parse_key_encoding(require(json, "chunk_key_encoding"));
  metadata.fill_value = parse_fill_value(require(json, "fill_value"), metadata.dtype);
  parse_codecs(require(json, "codecs"), metadata);
  check_chunk_bytes(metadata);
  if (json.contains("attributes")) metadata.attributes = json["attributes"];
  if (!metadata.attributes.is_object())
    fail<InvalidArgument>("attributes: an object expected, found {}", metadata.attributes.type_name());
  if (json.contains("storage_transformers") && !json["storage_transformers"].empty())
    fail<Unsupported>("storage_transformers are not supported: {}", json["storage_transformers"].dump());
  return metadata;
}

}  // namespace

ArrayMetadata ArrayMetadata::parse(std::string_view text, std::string_view where) {
  try {
    return parse_checked(parse_json(text, "document"));
  } catch (const InvalidArgument& error) {
    fail<CorruptData>("array {}: zarr.json: {}", where, error.what());
  } catch (const Unsupported& error) {
    fail<Unsupported>("array {}: zarr.json: {}", where, error.what());
  } catch (const NotFound& error) {
    fail<NotFound>("array {}: zarr.json: {}", where, error.what());
  } catch (const CorruptData& error) {
    fail<CorruptData>("array {}: zarr.json: {}", where, error.what());
  }
}

std::string ArrayMetadata::to_text() const {
  Json list = codecs;
  if (is_sharded) {
    Json index_codecs = Json::array();
    index_codecs.push_back(
        {{"name", "bytes"}, {"configuration", {{"endian", index_encoding.big_endian ? "big" : "little"}}}});
    if (index_encoding.has_crc32c) index_codecs.push_back({{"name", "crc32c"}});
    list = Json::array();
    list.push_back({{"name", "sharding_indexed"},
                    {"configuration",
                     {{"chunk_shape", chunk_shape},
                      {"codecs", codecs},
                      {"index_codecs", std::move(index_codecs)},
                      {"index_location", index_encoding.at_end ? "end" : "start"}}}});
  }
  const Json json = {
      {"shape", shape},
      {"data_type", name(dtype)},
      {"chunk_grid", {{"name", "regular"}, {"configuration", {{"chunk_shape", shard_shape}}}}},
      {"chunk_key_encoding",
       {{"name", key_encoding.is_v2 ? "v2" : "default"},
        {"configuration", {{"separator", std::string(1, key_encoding.separator)}}}}},
      {"fill_value", fill_value_to_json(fill_value, dtype)},
      {"codecs", std::move(list)},
      {"attributes", attributes},
      {"zarr_format", 3},
      {"node_type", "array"},
      {"storage_transformers", Json::array()},
  };
  return dump_json(json);
}

}  // namespace hox::zarr
