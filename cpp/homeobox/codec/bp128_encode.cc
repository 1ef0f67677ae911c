#include "homeobox/codec/bp128_encode.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "homeobox/codec/bp128_bytes.h"
#include "homeobox/codec/bp128_keys.h"
#include "homeobox/codec/bp128_layout.h"
#include "homeobox/codec/kernels/block.h"

namespace hox::codec::bp128 {
namespace {

using Fields = std::array<std::uint32_t, kBlockFields>;

// Blocks that stand for the chunk when modes are compared: up to so many runs of one block, evenly spread.
constexpr std::uint64_t kSampleBlocks = 8;
// A panel's row-blind deltas leave a tenth of their size to an entropy coder; but the chunk then decodes as a whole.
// Worth it only where the modulus says panel, and by a clear margin.
constexpr std::uint32_t kPanelModulus = 256;
constexpr double kPanelGain = 0.93;
constexpr std::uint32_t kLargestOddModulus = 65536;

std::uint32_t zigzag(std::uint32_t difference) noexcept { return (difference << 1) ^ (0U - (difference >> 31)); }

std::uint32_t modulus_above(std::uint32_t largest) noexcept {
  if (largest < kLargestOddModulus) return largest + 1;
  const int bits = std::bit_width(largest);
  return bits == 32 ? 0 : std::uint32_t{1} << bits;
}

std::uint32_t bits_below(std::uint32_t modulus) noexcept {
  return static_cast<std::uint32_t>(std::bit_width(modulus - 1));  // 32 for modulus 0
}

std::uint32_t delta_field(std::uint32_t key, std::uint32_t previous, const Header& header) noexcept {
  const std::uint32_t difference = key - previous - header.step;
  // previous + step <= modulus, so at most one turn is missing; modulus 0 is 2^32, whose turns do not show.
  return key >= previous + header.step ? difference : difference + header.modulus;
}

// The fields of block `block` in the mode of `header`; fields past the last key are zero.
void transform(const Header& header, std::span<const std::uint32_t> keys, std::uint64_t block, Fields& fields) {
  const std::uint64_t begin = block * kBlockFields;
  const std::uint64_t end = std::min<std::uint64_t>(begin + kBlockFields, keys.size());
  const std::size_t n = end - begin;
  // The chunk's first key goes by itself; every other has a key before it.
  const std::size_t first = begin == 0 ? 1 : 0;
  const std::uint32_t* const from = keys.data() + begin + first;
  const std::uint32_t* const previous = from - 1;
  switch (header.mode) {
    case Mode::kDelta:
      if (begin == 0) fields[0] = delta_field(keys[0], 0, header);
      for (std::size_t i = 0; i < n - first; ++i) fields[first + i] = delta_field(from[i], previous[i], header);
      break;
    case Mode::kZigzag:
      if (begin == 0) fields[0] = zigzag(keys[0]);
      for (std::size_t i = 0; i < n - first; ++i) fields[first + i] = zigzag(from[i] - previous[i]);
      break;
    default:
      std::copy_n(keys.begin() + static_cast<std::ptrdiff_t>(begin), n, fields.begin());
  }
  std::fill(fields.begin() + static_cast<std::ptrdiff_t>(n), fields.end(), 0U);
}

// A later candidate decodes more slowly, so it has to be smaller by a margin that is no accident of the sample.
constexpr double kModeGain = 0.97;

// Candidate modes in order of preference.
std::array<Header, 4> candidates(const Keys& keys, std::uint32_t n_packed) noexcept {
  Header plain;
  plain.mode = Mode::kPlain;
  plain.n_packed = n_packed;
  plain.reference = keys.reference;
  Header delta = plain;
  delta.mode = Mode::kDelta;
  delta.modulus = modulus_above(keys.largest);
  delta.base_bits = static_cast<std::uint8_t>(bits_below(delta.modulus));
  Header delta_step = delta;
  delta_step.step = 1;
  Header zigzag_delta = plain;
  zigzag_delta.mode = Mode::kZigzag;
  zigzag_delta.base_bits = static_cast<std::uint8_t>(std::bit_width(keys.largest));
  return {plain, delta_step, delta, zigzag_delta};
}

Header choose_mode(const Keys& range, std::span<const std::uint32_t> keys) {
  const BlockKernels& kernels = block_kernels();
  const auto options = candidates(range, static_cast<std::uint32_t>(keys.size()));
  const std::uint64_t n_blocks = options[0].n_blocks();
  const std::uint64_t stride = std::max<std::uint64_t>(1, n_blocks / kSampleBlocks);
  const Header* best = nullptr;
  std::uint64_t best_bits = 0;
  Fields fields;
  for (const Header& option : options) {
    std::uint64_t bits = 0;
    for (std::uint64_t block = stride / 2; block < n_blocks; block += stride) {
      transform(option, keys, block, fields);
      bits += 8 * kernels.choose_shape(fields.data()).payload_bytes() + option.entry_bits();
    }
    if (best != nullptr && static_cast<double>(bits) >= kModeGain * static_cast<double>(best_bits)) continue;
    best = &option;
    best_bits = bits;
  }
  return *best;
}

// Appends offsets and groups; `out` ends with the header, which starts at `header_at`.
void append_groups(Header header, std::span<const std::uint32_t> keys, Bytes& out, std::size_t header_at) {
  const BlockKernels& kernels = block_kernels();
  const std::uint64_t n_groups = header.n_groups();
  const std::uint64_t worst_group =
      kChecksumBytes + entries_bytes(kGroupBlocks, header) + kGroupBlocks * kMaxPayloadBytes;
  std::vector<std::uint32_t> offsets(n_groups);
  Bytes groups(n_groups * worst_group + kPayloadSlack);
  std::byte* at = groups.data();
  Fields fields;
  for (std::uint64_t group = 0; group < n_groups; ++group) {
    std::byte* const start = at;
    offsets[group] = static_cast<std::uint32_t>(start - groups.data());
    const std::uint64_t first = group * kGroupBlocks;
    const auto n_blocks = static_cast<std::uint32_t>(std::min<std::uint64_t>(kGroupBlocks, header.n_blocks() - first));
    std::byte* const entries = start + kChecksumBytes;
    at = entries + entries_bytes(n_blocks, header);
    std::array<Entry, kGroupBlocks> written;
    for (std::uint32_t i = 0; i < n_blocks; ++i) {
      const std::uint64_t block = first + i;
      transform(header, keys, block, fields);
      written[i].shape = kernels.choose_shape(fields.data());
      written[i].base = header.base_bits == 0 || block == 0 ? 0 : keys[block * kBlockFields - 1];
      kernels.encode(fields.data(), written[i].shape, at);
      at += written[i].shape.payload_bytes();
    }
    // The payloads' slack writes stay behind `at`; entries go last because their own stores run over by 8 bytes, into
    // the first payload, which is therefore kept aside.
    std::array<std::byte, sizeof(std::uint64_t)> first_payload;
    std::byte* const payloads = entries + entries_bytes(n_blocks, header);
    std::memcpy(first_payload.data(), payloads, first_payload.size());
    std::memset(entries, 0, entries_bytes(n_blocks, header));
    for (std::uint32_t i = 0; i < n_blocks; ++i) write_entry(entries, i, header, written[i]);
    std::memcpy(payloads, first_payload.data(), first_payload.size());
  }
  const auto groups_bytes = static_cast<std::size_t>(at - groups.data());
  header.offset_bytes = groups_bytes < 65536 ? 2 : 4;
  write_header(header, out.data() + header_at);
  for (std::uint64_t group = 0; group < n_groups; ++group) {
    const std::size_t end = group + 1 < n_groups ? offsets[group + 1] : groups_bytes;
    std::byte* const start = groups.data() + offsets[group];
    const std::uint32_t crc =
        checksum(header, static_cast<std::uint32_t>(group),
                 std::span<const std::byte>(start + kChecksumBytes, end - offsets[group] - kChecksumBytes));
    std::memcpy(start, &crc, sizeof crc);
  }
  for (const std::uint32_t offset : offsets) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&offset);
    out.insert(out.end(), bytes, bytes + header.offset_bytes);
  }
  out.insert(out.end(), groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(groups_bytes));
}

// One byte per delta field of the whole chunk.
Bytes delta_bytes(const Header& header, std::span<const std::uint32_t> keys) {
  Bytes bytes(keys.size());
  std::uint32_t previous = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    bytes[i] = static_cast<std::byte>(delta_field(keys[i], previous, header));
    previous = keys[i];
  }
  return bytes;
}

// Elements up to the last one that is not all zero bytes: a padded edge chunk costs only what it holds.
std::uint64_t without_zero_tail(std::span<const std::byte> values, std::size_t element_size) noexcept {
  std::size_t n = values.size();
  while (n > 0 && values[n - 1] == std::byte{0}) --n;
  return (n + element_size - 1) / element_size;
}

bool all_equal(std::span<const std::byte> values, std::size_t element_size) noexcept {
  return std::equal(values.begin() + static_cast<std::ptrdiff_t>(element_size), values.end(), values.begin());
}

}  // namespace

void encode_chunk(const ChunkSpec& spec, std::span<const std::byte> values, Bytes& out) {
  const std::size_t size = element_bytes(spec.dtype);
  if (values.empty() || all_equal(values, size))
    return append_constant(values.first(std::min(size, values.size())), out);

  const std::uint64_t n_packed = without_zero_tail(values, size);
  const std::span<const std::byte> packed = values.first(n_packed * size);
  std::vector<std::uint32_t> keys;
  const std::optional<Keys> range = n_packed <= ~std::uint32_t{0} ? make_keys(spec.dtype, packed, keys) : std::nullopt;
  const std::size_t header_at = out.size();
  if (range) {
    const Header header = choose_mode(*range, keys);
    out.resize(header_at + kHeaderBytes);
    append_groups(header, keys, out, header_at);
    if (header.mode == Mode::kDelta && header.modulus != 0 && header.modulus <= kPanelModulus) {
      Bytes smaller;
      append_zstd_delta(header, delta_bytes(header, keys), smaller);
      if (static_cast<double>(smaller.size()) < kPanelGain * static_cast<double>(out.size() - header_at)) {
        out.resize(header_at);
        out.insert(out.end(), smaller.begin(), smaller.end());
      }
    }
    // Keys of noise pack to more than the elements themselves.
    if (out.size() - header_at <= values.size()) return;
    out.resize(header_at);
  }
  append_bytes(spec, values, out);
}

}  // namespace hox::codec::bp128
