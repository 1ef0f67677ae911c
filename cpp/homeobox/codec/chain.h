// CodecChain: the codecs of one array, in order, applied to one chunk at a time.
//
// parse() reads the "codecs" list of zarr.json (without sharding_indexed, which is zarr's) and prepares every codec
// for the chunk. Immutable afterwards; workers bring their own Scratch.
#pragma once

#include <memory>
#include <vector>

#include "homeobox/codec/codec.h"

namespace hox::codec {

class CodecChain {
 public:
  // Throws Unsupported (unknown codec, by name) or InvalidArgument (bad configuration or order).
  static CodecChain parse(const nlohmann::json& codecs, const ChunkSpec& chunk);

  nlohmann::json to_json() const;
  const ChunkSpec& chunk() const noexcept { return chunk_; }

  // Replaces `out` by the encoded chunk. `in.size()` is the chunk's size in bytes.
  void encode(std::span<const std::byte> in, Bytes& out, Scratch& scratch) const;
  // `out.size()` is the chunk's size in bytes.
  void decode(std::span<const std::byte> encoded, std::span<std::byte> out, Scratch& scratch) const;

  // Whether decode_range() costs about what it touches.
  bool decodes_ranges() const noexcept;
  // The same of one encoded chunk. Where it is false, a reader of many ranges does better to keep the decoded chunk.
  bool decodes_ranges_of(std::span<const std::byte> encoded) const noexcept {
    return decodes_ranges() &&
           (!bytes_codecs_.empty() || !array_codecs_.empty() || serializer_->decodes_ranges_of(encoded));
  }
  // Elements [begin, end) of the chunk in C order into `out`; decodes the whole chunk where the codecs allow
  // nothing better. Verifies the checksums of what it reads.
  void decode_range(std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end, std::byte* out,
                    Scratch& scratch) const;

  // A hint that decode_range of these elements follows soon; the first cache line of `encoded` is at hand.
  void prefetch_range(std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end) const noexcept {
    if (bytes_codecs_.empty() && array_codecs_.empty()) serializer_->prefetch_range(encoded, begin, end);
  }

  // Upper bound of an encoded chunk, for reservations and for rejecting absurd extents.
  std::uint64_t max_encoded_bytes() const;

 private:
  // Which codec can decode a part of a chunk, if any.
  enum class RangeDecoder { kNone, kSerializer, kFirstBytesCodec };
  static RangeDecoder find_range_decoder(const CodecChain& chain);

  // Bytes after some of the bytes codecs were undone, and the half of the Scratch that they do not lie in.
  struct Stage {
    std::span<const std::byte> bytes;
    Bytes* unused;
  };
  // Undoes the bytes codecs from the last down to number `keep`.
  Stage decode_bytes(std::span<const std::byte> encoded, std::size_t keep, Scratch& scratch) const;
  void decode_serialized(std::span<const std::byte> encoded, std::span<std::byte> out, Scratch& scratch) const;

  ChunkSpec chunk_;
  std::vector<std::shared_ptr<const ArrayToArrayCodec>> array_codecs_;
  std::shared_ptr<const ArrayToBytesCodec> serializer_;
  std::vector<std::shared_ptr<const BytesToBytesCodec>> bytes_codecs_;
  RangeDecoder range_decoder_ = RangeDecoder::kNone;
  // What the serializer sees, and the largest sizes after it and after each bytes codec.
  std::uint64_t serializer_bytes_ = 0;
  std::vector<std::uint64_t> max_stage_bytes_;
};

}  // namespace hox::codec
