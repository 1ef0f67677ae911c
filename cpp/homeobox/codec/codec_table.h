// The codecs that this library knows: one visible table from the names of zarr.json to factories.
//
// The set is closed on purpose. To add a codec, write its pair of files and add a line in codec_table.cc.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <variant>

#include "homeobox/codec/codec.h"

namespace hox::codec {

template <class Codec>
using CodecFactory = std::shared_ptr<const Codec> (*)(const nlohmann::json& configuration, const ChunkSpec& chunk);

struct CodecEntry {
  std::string_view name;
  std::variant<CodecFactory<ArrayToArrayCodec>, CodecFactory<ArrayToBytesCodec>, CodecFactory<BytesToBytesCodec>> make;
};

std::span<const CodecEntry> codec_table() noexcept;

// nullptr when there is no such codec.
const CodecEntry* find_codec(std::string_view name) noexcept;

}  // namespace hox::codec
