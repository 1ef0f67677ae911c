// Codec interfaces: how the elements of one chunk become bytes and come back.
//
// A chunk passes through array-to-array codecs, one array-to-bytes codec and bytes-to-bytes codecs (CodecChain in
// chain.h). A codec is made once per array for a known element type and chunk shape, with every check that does not
// need the data; afterwards it is immutable and shared between threads. The set is closed: codec_table.h maps names
// to factories, and a name that is not there is Unsupported.
//
// Decoders write into memory that the caller owns and never allocate more than the chunk's own size, whatever the
// encoded bytes claim. Malformed bytes are CorruptData; the array adds which shard and chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "homeobox/base/data_type.h"

namespace hox::codec {

using Bytes = std::vector<std::byte>;

// What a codec is told about the chunks it will see. Decoded data is C order, native byte order.
struct ChunkSpec {
  DataType dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t elements = 0;  // product of shape, checked by make_chunk_spec
  std::uint64_t bytes() const noexcept { return elements * element_bytes(dtype); }
};

// Throws InvalidArgument when the product of `shape` does not fit.
ChunkSpec make_chunk_spec(DataType dtype, std::vector<std::uint64_t> shape);

// Reusable memory of one worker; grows to the largest chunk it has seen.
struct Scratch {
  Bytes first;
  Bytes second;
};

// transpose, numcodecs.fixedscaleoffset
class ArrayToArrayCodec {
 public:
  virtual ~ArrayToArrayCodec() = default;
  virtual nlohmann::json to_json() const = 0;
  virtual const ChunkSpec& encoded_spec() const = 0;  // what the next codec sees
  virtual void encode(std::span<const std::byte> in, std::span<std::byte> out) const = 0;
  virtual void decode(std::span<const std::byte> in, std::span<std::byte> out) const = 0;
};

// bytes, homeobox.bp128
class ArrayToBytesCodec {
 public:
  virtual ~ArrayToBytesCodec() = default;
  virtual nlohmann::json to_json() const = 0;
  // Upper bound of the encoding of `n_bytes` of elements, with slack for writers that append a trailer.
  virtual std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const;
  // Appends to `out`.
  virtual void encode(std::span<const std::byte> in, Bytes& out) const = 0;
  // `out.size()` is the chunk's size in bytes.
  virtual void decode(std::span<const std::byte> encoded, std::span<std::byte> out) const = 0;
  // True when the encoded bytes are the decoded ones, so that a byte of one is the same byte of the other.
  virtual bool keeps_bytes() const noexcept { return false; }
  // True when decode_range costs about the blocks it touches, not the chunk.
  virtual bool decodes_ranges() const noexcept { return false; }
  // The same of one encoded chunk, for codecs that choose per chunk. Reads nothing that malformed bytes lead astray.
  virtual bool decodes_ranges_of(std::span<const std::byte>) const noexcept { return decodes_ranges(); }
  // Elements [begin, end) in C order, begin <= end <= elements; `out` has room for exactly these. Verifies the
  // checksum of what it reads. Only called when decodes_ranges().
  virtual void decode_range(std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end,
                            std::byte* out) const;
  // A hint: decode_range of these elements follows soon, and the first cache line of `encoded` is at hand. Reads
  // nothing that malformed bytes could lead astray.
  virtual void prefetch_range(std::span<const std::byte>, std::uint64_t, std::uint64_t) const noexcept {}
};

// crc32c, gzip, zstd, blosc, numcodecs.shuffle, homeobox.bitpacking
class BytesToBytesCodec {
 public:
  virtual ~BytesToBytesCodec() = default;
  virtual nlohmann::json to_json() const = 0;
  // Largest encoded size of `n_bytes` of input.
  virtual std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const = 0;
  // Appends to `out`.
  virtual void encode(std::span<const std::byte> in, Bytes& out) const = 0;
  // Replaces `out`. `max_decoded_bytes` bounds the result; more is CorruptData before it is allocated.
  virtual void decode(std::span<const std::byte> in, std::uint64_t max_decoded_bytes, Bytes& out) const = 0;
  // Decodes to exactly `out.size()` bytes; CorruptData when the encoded bytes hold another number. For codecs that
  // can write straight into the caller's memory; the others go through `scratch`.
  virtual void decode_into(std::span<const std::byte> in, std::span<std::byte> out, Bytes& scratch) const;
  // True when the codec only adds something around the bytes (crc32c), so that decode_in_place works.
  virtual bool decodes_in_place() const noexcept { return false; }
  // The decoded bytes as a part of `in`, verified. Only called when decodes_in_place().
  virtual std::span<const std::byte> decode_in_place(std::span<const std::byte> in) const;
  // True when decode_range (below) costs about the bytes it touches.
  virtual bool decodes_ranges() const noexcept { return false; }
  // Bytes [begin, end) of the decoded whole, which is `decoded_bytes` long. Only called when decodes_ranges().
  virtual void decode_range(std::span<const std::byte> in, std::uint64_t decoded_bytes, std::uint64_t begin,
                            std::uint64_t end, std::byte* out) const;
};

}  // namespace hox::codec
