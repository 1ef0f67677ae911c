#include "homeobox/codec/bp128_decode.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "homeobox/base/error.h"
#include "homeobox/codec/bp128_bytes.h"
#include "homeobox/codec/bp128_keys.h"
#include "homeobox/codec/bp128_layout.h"
#include "homeobox/codec/kernels/block.h"

namespace hox::codec::bp128 {
namespace {

// One group whose checksum holds.
struct Group {
  std::span<const std::byte> entries;   // and the payloads behind them
  std::span<const std::byte> readable;  // from `entries` to the end of the chunk
  std::uint32_t n_blocks;
};

class GroupedChunk {
 public:
  GroupedChunk(const Header& header, const ChunkSpec& spec, std::span<const std::byte> encoded)
      : header_(header),
        dtype_(spec.dtype),
        element_bytes_(element_bytes(spec.dtype)),
        encoded_(encoded),
        in_place_(decodes_in_place(spec.dtype)),
        field_bits_(header.field_bits()),
        kernels_(block_kernels()) {
    groups_at_ = kHeaderBytes + header.n_groups() * header.offset_bytes;
    if (groups_at_ > encoded.size())
      fail<CorruptData>("bp128 chunk: {} bytes, too short for {} groups", encoded.size(), header.n_groups());
  }

  // Elements [begin, end), below n_packed.
  void decode(std::uint64_t begin, std::uint64_t end, std::byte* out) const {
    const std::uint64_t last_group = (end - 1) / kGroupElements;
    for (std::uint64_t group = begin / kGroupElements; group <= last_group; ++group) {
      const std::uint64_t group_begin = group * kGroupElements;
      const std::uint64_t from = std::max(begin, group_begin);
      const std::uint64_t to = std::min(end, group_begin + kGroupElements);
      decode_group(verified_group(group), static_cast<std::uint32_t>(from - group_begin),
                   static_cast<std::uint32_t>(to - group_begin), out);
      out += (to - from) * element_bytes_;
    }
  }

 private:
  std::uint64_t group_offset(std::uint64_t group) const noexcept {
    if (group == header_.n_groups()) return encoded_.size() - groups_at_;
    std::uint32_t offset = 0;
    std::memcpy(&offset, encoded_.data() + kHeaderBytes + group * header_.offset_bytes, header_.offset_bytes);
    return offset;
  }

  Group verified_group(std::uint64_t group) const {
    const std::uint64_t begin = group_offset(group);
    const std::uint64_t end = group_offset(group + 1);
    const auto n_blocks =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(kGroupBlocks, header_.n_blocks() - group * kGroupBlocks));
    if (begin > end || end > encoded_.size() - groups_at_ ||
        end - begin < kChecksumBytes + entries_bytes(n_blocks, header_))
      fail<CorruptData>("bp128 chunk: group {} lies at {} to {} of {} bytes", group, begin, end,
                        encoded_.size() - groups_at_);
    const std::span<const std::byte> bytes = encoded_.subspan(groups_at_ + begin, end - begin);
    const std::span<const std::byte> entries = bytes.subspan(kChecksumBytes);
    std::uint32_t stored;
    std::memcpy(&stored, bytes.data(), sizeof stored);
    const std::uint32_t found = checksum(header_, static_cast<std::uint32_t>(group), entries);
    if (stored != found) [[unlikely]]
      fail<CorruptData>("bp128 chunk: group {}: checksum {:08x} expected, {:08x} found", group, stored, found);
    return {entries, encoded_.subspan(groups_at_ + begin + kChecksumBytes), n_blocks};
  }

  struct Block {
    Entry entry;
    std::uint64_t payload_at;  // in Group::readable
  };

  // Where each block of the group lies, up to the one that holds element to - 1.
  std::array<Block, kGroupBlocks> find_blocks(const Group& group, std::uint32_t to) const {
    std::array<std::byte, 2 * sizeof(std::uint64_t) * kGroupBlocks> padded_entries;
    const std::byte* entries = group.entries.data();
    if (group.readable.size() < padded_entries.size()) [[unlikely]] {
      std::copy(group.readable.begin(), group.readable.end(), padded_entries.begin());
      entries = padded_entries.data();
    }
    std::array<Block, kGroupBlocks> blocks;
    std::uint64_t payload_at = entries_bytes(group.n_blocks, header_);
    for (std::uint32_t i = 0; i * kBlockFields < to; ++i) {
      blocks[i] = {read_entry(entries, i, header_), payload_at};
      const BlockShape& shape = blocks[i].entry.shape;
      payload_at += shape.payload_bytes();
      if (payload_at > group.entries.size() || shape.width + shape.high_width > field_bits_) [[unlikely]]
        fail_shape(shape);
    }
    return blocks;
  }

  [[noreturn]] [[gnu::cold]] void fail_shape(const BlockShape& shape) const {
    if (shape.width + shape.high_width > field_bits_)
      fail<CorruptData>("bp128 chunk: a block with fields of {} + {} bits, more than {}", shape.width, shape.high_width,
                        field_bits_);
    fail<CorruptData>("bp128 chunk: a block of {} bytes overruns its group", shape.payload_bytes());
  }

  // Elements [from, to) of the group.
  void decode_group(const Group& group, std::uint32_t from, std::uint32_t to, std::byte* out) const {
    const std::array<Block, kGroupBlocks> blocks = find_blocks(group, to);
    for (std::uint32_t i = from / kBlockFields; i * kBlockFields < to; ++i) {
      const std::uint32_t block_begin = i * kBlockFields;
      const std::uint32_t skip = from > block_begin ? from - block_begin : 0;
      const std::uint32_t n = std::min(to - block_begin, kBlockFields) - skip;
      const std::span<const std::byte> payload = group.readable.subspan(blocks[i].payload_at);
      if (payload.size() >= kMaxPayloadBytes + kPayloadSlack) [[likely]] {
        decode_block(payload.data(), blocks[i].entry, skip, n, out);
      } else {
        std::array<std::byte, kMaxPayloadBytes + kPayloadSlack> padded;
        if (blocks[i].entry.shape.payload_bytes() > kMaxPayloadBytes)
          fail<CorruptData>("bp128 chunk: a block of {} bytes", blocks[i].entry.shape.payload_bytes());
        std::copy(payload.begin(), payload.end(), padded.begin());
        decode_block(padded.data(), blocks[i].entry, skip, n, out);
      }
      out += n * element_bytes_;
    }
  }

  // `n` elements of one block after the first `skip`.
  void decode_block(const std::byte* payload, const Entry& entry, std::uint32_t skip, std::uint32_t n,
                    std::byte* out) const {
    // Whole blocks of the common types decode in their final place.
    if (n == kBlockFields && header_.mode == Mode::kPlain) {
      const auto reference = static_cast<std::uint32_t>(header_.reference);
      if (dtype_ == DataType::kFloat32)
        return check(kernels_.decode_float32(payload, entry.shape, reference, reinterpret_cast<float*>(out)), entry);
      if (in_place_)
        return check(kernels_.decode(payload, entry.shape, reference, reinterpret_cast<std::uint32_t*>(out)), entry);
    }
    alignas(64) std::array<std::uint32_t, kBlockFields> scratch;
    const bool whole = in_place_ && n == kBlockFields;
    auto* const fields = whole ? reinterpret_cast<std::uint32_t*>(out) : scratch.data();
    check(kernels_.decode(payload, entry.shape, 0, fields), entry);
    if (header_.mode == Mode::kDelta) {
      kernels_.undo_delta(fields, entry.base, header_.step, header_.modulus);
    } else if (header_.mode == Mode::kZigzag) {
      kernels_.undo_zigzag(fields, entry.base);
    }
    if (!whole || header_.reference != 0) write_values(dtype_, fields + skip, header_.reference, n, out);
  }

  static void check(bool decoded, const Entry& entry) {
    if (!decoded) [[unlikely]]
      fail<CorruptData>("bp128 chunk: the exceptions of a block do not fill their {} bytes",
                        entry.shape.exception_bytes);
  }

  const Header& header_;
  DataType dtype_;
  std::size_t element_bytes_;
  std::span<const std::byte> encoded_;
  bool in_place_;
  std::uint32_t field_bits_;
  const BlockKernels& kernels_;
  std::uint64_t groups_at_ = 0;
};

// Modes that decode as a whole go through a chunk-sized buffer when only a part is wanted.
template <class DecodeAll>
void decode_part(const ChunkSpec& spec, std::uint64_t begin, std::uint64_t end, std::byte* out, DecodeAll decode_all) {
  const std::size_t size = element_bytes(spec.dtype);
  if (begin == 0 && end == spec.elements) return decode_all(std::span<std::byte>(out, spec.bytes()));
  thread_local Bytes whole;
  whole.resize(spec.bytes());
  decode_all(std::span<std::byte>(whole));
  std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(begin * size), (end - begin) * size, out);
}

}  // namespace

void decode_range(const ChunkSpec& spec, std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end,
                  std::byte* out) {
  if (begin == end) return;
  const Header header = parse_header(encoded, spec.elements);
  switch (header.mode) {
    case Mode::kConstant:
      return decode_constant(header, encoded, spec, {out, (end - begin) * element_bytes(spec.dtype)});
    case Mode::kRaw:
      return decode_raw(header, encoded, spec, begin, {out, (end - begin) * element_bytes(spec.dtype)});
    case Mode::kZstd:
      return decode_part(spec, begin, end, out,
                         [&](std::span<std::byte> all) { decode_zstd(header, encoded, spec, all); });
    case Mode::kZstdDelta:
      return decode_part(spec, begin, end, out,
                         [&](std::span<std::byte> all) { decode_zstd_delta(header, encoded, spec, all); });
    case Mode::kPlain:
    case Mode::kDelta:
    case Mode::kZigzag:
      break;
  }
  const std::uint64_t packed_end = std::clamp<std::uint64_t>(header.n_packed, begin, end);
  if (packed_end > begin) GroupedChunk(header, spec, encoded).decode(begin, packed_end, out);
  const std::size_t size = element_bytes(spec.dtype);
  std::memset(out + (packed_end - begin) * size, 0, (end - packed_end) * size);
}

bool decodes_ranges(std::span<const std::byte> encoded) noexcept {
  if (encoded.size() < kHeaderBytes) return true;  // fails at once either way
  const Mode mode = peek_header(encoded).mode;
  return mode != Mode::kZstd && mode != Mode::kZstdDelta;
}

void prefetch_range(std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end) noexcept {
  constexpr std::uint64_t kCacheLine = 64;
  if (encoded.size() < kHeaderBytes || begin >= end) return;
  // Unverified: a wrong number here only prefetches in vain, and every address is kept inside the chunk.
  const Header header = peek_header(encoded);
  if (header.mode != Mode::kPlain && header.mode != Mode::kDelta && header.mode != Mode::kZigzag) return;
  const std::uint64_t n_groups = header.n_groups();
  const std::uint64_t groups_at = kHeaderBytes + n_groups * header.offset_bytes;
  const std::uint64_t first = begin / kGroupElements;
  const std::uint64_t last = (end - 1) / kGroupElements + 1;
  if (header.offset_bytes > 4 || first >= n_groups || groups_at >= encoded.size()) return;
  const auto offset = [&](std::uint64_t group) -> std::uint64_t {
    if (group >= n_groups) return encoded.size();
    std::uint32_t value = 0;
    std::memcpy(&value, encoded.data() + kHeaderBytes + group * header.offset_bytes, header.offset_bytes);
    return std::min<std::uint64_t>(groups_at + value, encoded.size());
  };
  const std::uint64_t to = offset(last);
  for (std::uint64_t at = offset(first); at < to; at += kCacheLine) __builtin_prefetch(encoded.data() + at);
}

}  // namespace hox::codec::bp128
