#include "homeobox/codec/bp128_bytes.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "homeobox/base/error.h"
#include "homeobox/codec/bp128_keys.h"
#include "homeobox/codec/byte_planes.h"
#include "homeobox/codec/zstd_context.h"

namespace hox::codec::bp128 {
namespace {

constexpr int kZstdLevel = 3;
// Deltas of a panel hold no repeats worth finding: level 1 leaves them to the entropy coder, and is smaller for it
// (CROP-seq panel of 28: 3.8 bits per index against 4.0 at level 3).
constexpr int kZstdDeltaLevel = 1;

void append_chunk(Header header, std::span<const std::byte> body, Bytes& out) {
  std::array<std::byte, kHeaderBytes> header_bytes;
  write_header(header, header_bytes.data());
  const std::uint32_t crc = checksum(header, 0, body);
  const auto* const crc_bytes = reinterpret_cast<const std::byte*>(&crc);
  out.insert(out.end(), header_bytes.begin(), header_bytes.end());
  out.insert(out.end(), crc_bytes, crc_bytes + sizeof crc);
  out.insert(out.end(), body.begin(), body.end());
}

std::span<const std::byte> verified_body(const Header& header, std::span<const std::byte> encoded) {
  const std::span<const std::byte> body = encoded.subspan(kHeaderBytes + kChecksumBytes);
  std::uint32_t stored;
  std::memcpy(&stored, encoded.data() + kHeaderBytes, sizeof stored);
  const std::uint32_t found = checksum(header, 0, body);
  if (stored != found) fail<CorruptData>("bp128 chunk: checksum {:08x} expected, {:08x} found", stored, found);
  return body;
}

Bytes compress(std::span<const std::byte> bytes, int level) {
  Bytes compressed(ZSTD_compressBound(bytes.size()));
  const std::size_t n =
      ZSTD_compressCCtx(zstd_compressor(), compressed.data(), compressed.size(), bytes.data(), bytes.size(), level);
  if (ZSTD_isError(n) != 0) fail<Error>("bp128: zstd failed to compress: {}", ZSTD_getErrorName(n));
  compressed.resize(n);
  return compressed;
}

void decompress(std::span<const std::byte> compressed, std::span<std::byte> out) {
  const std::size_t n =
      ZSTD_decompressDCtx(zstd_decompressor(), out.data(), out.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(n) != 0) fail<CorruptData>("bp128 chunk: zstd: {}", ZSTD_getErrorName(n));
  if (n != out.size()) fail<CorruptData>("bp128 chunk: {} bytes expected, zstd holds {}", out.size(), n);
}

}  // namespace

void append_constant(std::span<const std::byte> element, Bytes& out) {
  Header header;
  header.mode = Mode::kConstant;
  std::memcpy(&header.reference, element.data(), element.size());
  append_chunk(header, {}, out);
}

void append_bytes(const ChunkSpec& spec, std::span<const std::byte> values, Bytes& out) {
  const std::size_t size = element_bytes(spec.dtype);
  Bytes shuffled(values.size());
  split_byte_planes(values, size, shuffled.data());
  const Bytes compressed = compress(shuffled, kZstdLevel);
  Header header;
  header.mode = compressed.size() < values.size() ? Mode::kZstd : Mode::kRaw;
  append_chunk(header, header.mode == Mode::kZstd ? std::span<const std::byte>(compressed) : values, out);
}

void append_zstd_delta(Header header, std::span<const std::byte> fields, Bytes& out) {
  header.mode = Mode::kZstdDelta;
  header.base_bits = 0;
  append_chunk(header, compress(fields, kZstdDeltaLevel), out);
}

void decode_constant(const Header& header, std::span<const std::byte> encoded, const ChunkSpec& spec,
                     std::span<std::byte> out) {
  if (const auto body = verified_body(header, encoded); !body.empty())
    fail<CorruptData>("bp128 chunk: {} bytes after a constant", body.size());
  const std::size_t size = element_bytes(spec.dtype);
  for (std::size_t at = 0; at < out.size(); at += size) std::memcpy(out.data() + at, &header.reference, size);
}

void decode_raw(const Header& header, std::span<const std::byte> encoded, const ChunkSpec& spec, std::uint64_t begin,
                std::span<std::byte> out) {
  const std::span<const std::byte> body = verified_body(header, encoded);
  if (body.size() != spec.bytes())
    fail<CorruptData>("bp128 chunk: {} bytes expected, {} found", spec.bytes(), body.size());
  std::memcpy(out.data(), body.data() + begin * element_bytes(spec.dtype), out.size());
}

void decode_zstd(const Header& header, std::span<const std::byte> encoded, const ChunkSpec& spec,
                 std::span<std::byte> out) {
  const std::span<const std::byte> body = verified_body(header, encoded);
  Bytes shuffled(out.size());
  decompress(body, shuffled);
  join_byte_planes(shuffled, element_bytes(spec.dtype), out.data());
}

void decode_zstd_delta(const Header& header, std::span<const std::byte> encoded, const ChunkSpec& spec,
                       std::span<std::byte> out) {
  const std::span<const std::byte> body = verified_body(header, encoded);
  Bytes fields(header.n_packed);
  decompress(body, fields);
  const std::size_t size = element_bytes(spec.dtype);
  std::array<std::uint32_t, kBlockFields> keys;
  std::uint32_t key = 0;
  for (std::size_t begin = 0; begin < fields.size(); begin += kBlockFields) {
    const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(kBlockFields, fields.size() - begin));
    for (std::uint32_t i = 0; i < n; ++i) {
      key = (key + static_cast<std::uint32_t>(fields[begin + i]) + header.step) % header.modulus;
      keys[i] = key;
    }
    write_values(spec.dtype, keys.data(), header.reference, n, out.data() + begin * size);
  }
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(fields.size() * size), out.end(), std::byte{0});
}

}  // namespace hox::codec::bp128
