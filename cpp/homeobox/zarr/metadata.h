// ArrayMetadata: what zarr.json of one array says, checked and in the form in which the other files use it.
//
// The subset of Zarr v3 that this library reads: a regular chunk grid, the "default" and "v2" chunk keys, the dtypes
// of base/data_type.h, and codecs of codec/codec_table.h, either directly or inside one sharding_indexed that stands
// alone. Everything else is Unsupported and named; what breaks the spec is CorruptData.
//
// to_text() gives the text that zarr-python writes, key by key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "homeobox/base/data_type.h"
#include "homeobox/zarr/json.h"
#include "homeobox/zarr/shard_index.h"

namespace hox::zarr {

// Where the object of a chunk lies below the array: "c/1/2", "c.1.2", "1/2" or "1.2".
struct ChunkKeyEncoding {
  bool is_v2 = false;
  char separator = '/';
};

struct ArrayMetadata {
  std::vector<std::uint64_t> shape;
  DataType dtype = DataType::kUint8;
  bool is_sharded = false;
  // One object; equal to chunk_shape for an unsharded array.
  std::vector<std::uint64_t> shard_shape;
  // One unit of decoding.
  std::vector<std::uint64_t> chunk_shape;
  ChunkKeyEncoding key_encoding;
  // One element in native byte order.
  std::vector<std::byte> fill_value;
  // The list that encodes one chunk, as it was given, key order included.
  Json codecs = Json::array();
  // How the index of a shard is stored; meaningless for an unsharded array.
  ShardIndexEncoding index_encoding;
  Json attributes = Json::object();

  // `where` names the array in messages. Throws CorruptData and Unsupported.
  static ArrayMetadata parse(std::string_view text, std::string_view where);
  std::string to_text() const;
};

}  // namespace hox::zarr
