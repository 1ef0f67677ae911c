#include "homeobox/codec/chain.h"

#include <algorithm>
#include <string>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/codec/codec_table.h"

namespace hox::codec {
namespace {

struct NamedConfiguration {
  std::string name;
  nlohmann::json configuration;
};

// {"name": ..., "configuration": {...}}, or a bare string, which zarr v3 allows where there is nothing to configure.
NamedConfiguration parse_entry(const nlohmann::json& entry) {
  if (entry.is_string()) return {entry.get<std::string>(), nullptr};
  if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string())
    fail<InvalidArgument>("codecs: an object with a name expected, found {}", entry.dump());
  NamedConfiguration result{entry["name"].get<std::string>(), nullptr};
  for (const auto& [member, value] : entry.items()) {
    if (member == "configuration")
      result.configuration = value;
    else if (member != "name" && member != "must_understand")
      fail<InvalidArgument>("codec {}: unknown member {}", result.name, member);
  }
  return result;
}

}  // namespace

CodecChain CodecChain::parse(const nlohmann::json& codecs, const ChunkSpec& chunk) {
  if (!codecs.is_array()) fail<InvalidArgument>("codecs: a list expected, found {}", codecs.type_name());
  CodecChain chain;
  chain.chunk_ = chunk;
  ChunkSpec spec = chunk;
  for (const nlohmann::json& json : codecs) {
    const NamedConfiguration entry = parse_entry(json);
    const CodecEntry* known = find_codec(entry.name);
    if (known == nullptr) fail<Unsupported>("codec \"{}\" is not supported", entry.name);
    if (const auto* make = std::get_if<CodecFactory<ArrayToArrayCodec>>(&known->make)) {
      if (chain.serializer_) fail<InvalidArgument>("codec {} cannot follow the array-to-bytes codec", entry.name);
      chain.array_codecs_.push_back((*make)(entry.configuration, spec));
      spec = chain.array_codecs_.back()->encoded_spec();
    } else if (const auto* make_serializer = std::get_if<CodecFactory<ArrayToBytesCodec>>(&known->make)) {
      if (chain.serializer_) fail<InvalidArgument>("codec {}: a second array-to-bytes codec", entry.name);
      chain.serializer_ = (*make_serializer)(entry.configuration, spec);
    } else {
      if (!chain.serializer_) fail<InvalidArgument>("codec {} needs an array-to-bytes codec before it", entry.name);
      chain.bytes_codecs_.push_back(std::get<CodecFactory<BytesToBytesCodec>>(known->make)(entry.configuration, spec));
    }
  }
  if (!chain.serializer_) fail<InvalidArgument>("codecs: an array-to-bytes codec is missing");
  chain.serializer_bytes_ = spec.bytes();
  chain.max_stage_bytes_.push_back(chain.serializer_->max_encoded_bytes(chain.serializer_bytes_));
  for (const auto& codec : chain.bytes_codecs_)
    chain.max_stage_bytes_.push_back(codec->max_encoded_bytes(chain.max_stage_bytes_.back()));
  chain.range_decoder_ = find_range_decoder(chain);
  return chain;
}

CodecChain::RangeDecoder CodecChain::find_range_decoder(const CodecChain& chain) {
  if (!chain.array_codecs_.empty()) return RangeDecoder::kNone;
  // A checksum around the chunk has to be computed over all of it, but that is cheap beside decoding.
  const auto& codecs = chain.bytes_codecs_;
  const auto changes_bytes = [](const auto& codec) { return !codec->decodes_in_place(); };
  const auto first = std::find_if(codecs.begin(), codecs.end(), changes_bytes);
  if (first == codecs.end())
    return chain.serializer_->decodes_ranges() ? RangeDecoder::kSerializer : RangeDecoder::kNone;
  const bool only_first = first == codecs.begin() && std::none_of(first + 1, codecs.end(), changes_bytes);
  return only_first && chain.serializer_->keeps_bytes() && (*first)->decodes_ranges() ? RangeDecoder::kFirstBytesCodec
                                                                                      : RangeDecoder::kNone;
}

nlohmann::json CodecChain::to_json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& codec : array_codecs_) list.push_back(codec->to_json());
  list.push_back(serializer_->to_json());
  for (const auto& codec : bytes_codecs_) list.push_back(codec->to_json());
  return list;
}

std::uint64_t CodecChain::max_encoded_bytes() const { return max_stage_bytes_.back(); }

void CodecChain::encode(std::span<const std::byte> in, Bytes& out, Scratch& scratch) const {
  if (in.size() != chunk_.bytes()) fail<InvalidArgument>("{} bytes expected, {} given", chunk_.bytes(), in.size());
  Bytes* current = &scratch.first;
  Bytes* next = &scratch.second;
  for (const auto& codec : array_codecs_) {
    next->resize(codec->encoded_spec().bytes());
    codec->encode(in, *next);
    in = *next;
    std::swap(current, next);
  }
  out.clear();
  Bytes& serialized = bytes_codecs_.empty() ? out : *next;
  serialized.clear();
  serializer_->encode(in, serialized);
  for (std::size_t i = 0; i < bytes_codecs_.size(); ++i) {
    std::swap(current, next);
    Bytes& target = i + 1 == bytes_codecs_.size() ? out : *next;
    target.clear();
    bytes_codecs_[i]->encode(*current, target);
  }
}

CodecChain::Stage CodecChain::decode_bytes(std::span<const std::byte> encoded, std::size_t keep,
                                           Scratch& scratch) const {
  Stage stage{encoded, &scratch.first};
  Bytes* other = &scratch.second;
  for (std::size_t i = bytes_codecs_.size(); i > keep; --i) {
    const BytesToBytesCodec& codec = *bytes_codecs_[i - 1];
    if (codec.decodes_in_place()) {
      stage.bytes = codec.decode_in_place(stage.bytes);
      continue;
    }
    codec.decode(stage.bytes, max_stage_bytes_[i - 1], *stage.unused);
    stage.bytes = *stage.unused;
    std::swap(stage.unused, other);
  }
  return stage;
}

void CodecChain::decode(std::span<const std::byte> encoded, std::span<std::byte> out, Scratch& scratch) const {
  if (out.size() != chunk_.bytes()) fail<InvalidArgument>("{} bytes expected, room for {}", chunk_.bytes(), out.size());
  if (array_codecs_.empty()) return decode_serialized(encoded, out, scratch);
  Bytes current(serializer_bytes_);
  decode_serialized(encoded, current, scratch);
  for (std::size_t i = array_codecs_.size(); i-- > 1;) {
    Bytes previous(array_codecs_[i - 1]->encoded_spec().bytes());
    array_codecs_[i]->decode(current, previous);
    current = std::move(previous);
  }
  array_codecs_[0]->decode(current, out);
}

void CodecChain::decode_serialized(std::span<const std::byte> encoded, std::span<std::byte> out,
                                   Scratch& scratch) const {
  // Where the serializer keeps the bytes, the first bytes codec decodes straight into the caller's memory.
  const bool skips_serializer =
      !bytes_codecs_.empty() && !bytes_codecs_[0]->decodes_in_place() && serializer_->keeps_bytes();
  const Stage stage = decode_bytes(encoded, skips_serializer ? 1 : 0, scratch);
  if (skips_serializer)
    bytes_codecs_[0]->decode_into(stage.bytes, out, *stage.unused);
  else
    serializer_->decode(stage.bytes, out);
}

bool CodecChain::decodes_ranges() const noexcept { return range_decoder_ != RangeDecoder::kNone; }

void CodecChain::decode_range(std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end,
                              std::byte* out, Scratch& scratch) const {
  if (begin > end || end > chunk_.elements)
    fail<OutOfRange>("elements {} to {} of a chunk of {}", begin, end, chunk_.elements);
  const std::size_t width = element_bytes(chunk_.dtype);
  switch (range_decoder_) {
    case RangeDecoder::kSerializer:
      return serializer_->decode_range(decode_bytes(encoded, 0, scratch).bytes, begin, end, out);
    case RangeDecoder::kFirstBytesCodec: {
      const Stage stage = decode_bytes(encoded, 1, scratch);
      return bytes_codecs_[0]->decode_range(stage.bytes, chunk_.bytes(), begin * width, end * width, out);
    }
    case RangeDecoder::kNone:
      break;
  }
  Bytes whole(chunk_.bytes());
  decode(encoded, whole, scratch);
  std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(begin * width), (end - begin) * width, out);
}

}  // namespace hox::codec
