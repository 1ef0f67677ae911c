#include "homeobox/codec/bitpacking.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"
#include "homeobox/codec/kernels/lane_block.h"

namespace hox::codec {
namespace {

enum class Transform : std::uint8_t { kNone = 0, kDelta = 1, kDeltaZigzag = 2 };
constexpr std::array<const char*, 3> kTransformNames = {"none", "delta", "delta_zigzag"};
constexpr std::array kTransforms = {Transform::kNone, Transform::kDelta, Transform::kDeltaZigzag};

constexpr std::size_t kStreamHeaderBytes = 5;  // transform, u32 number of elements
constexpr std::size_t kMaxBlockBytes = 1 + lane_block_bytes(kMaxLaneWidth);

using Words = std::array<std::uint32_t, kLaneBlockWords>;

template <class T>
T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Walks the blocks of an encoded stream; every step is checked against its end.
class BlockReader {
 public:
  explicit BlockReader(std::span<const std::byte> blocks) : rest_(blocks) {}

  void skip() { next_block(); }
  // False when all 128 words are zero, which needs no unpacking to know.
  bool read(std::uint32_t* words) {
    const Packed block = next_block();
    unpack_lanes(block.bytes, block.width, words);
    return block.width != 0;
  }

 private:
  struct Packed {
    const std::byte* bytes;
    std::uint32_t width;
  };
  Packed next_block() {
    if (rest_.empty()) fail<CorruptData>("bitpacking: the stream ends before its last block");
    const auto width = static_cast<std::uint32_t>(rest_[0]);
    if (width > kMaxLaneWidth) fail<CorruptData>("bitpacking: a block of width {}, more than {}", width, kMaxLaneWidth);
    if (rest_.size() - 1 < lane_block_bytes(width))
      fail<CorruptData>("bitpacking: a block of width {} has {} of its {} bytes", width, rest_.size() - 1,
                        lane_block_bytes(width));
    const Packed block{rest_.data() + 1, width};
    rest_ = rest_.subspan(1 + lane_block_bytes(width));
    return block;
  }

  std::span<const std::byte> rest_;
};

struct Stream {
  Transform transform;
  std::span<const std::byte> blocks;
};

Stream parse_stream(std::span<const std::byte> in, std::uint64_t expected_elements) {
  if (in.size() < kStreamHeaderBytes)
    fail<CorruptData>("bitpacking: {} bytes, shorter than the header of {}", in.size(), kStreamHeaderBytes);
  const auto id = static_cast<std::uint8_t>(in[0]);
  if (id >= kTransforms.size()) fail<CorruptData>("bitpacking: unknown transform {}", id);
  const auto n = load<std::uint32_t>(in.data() + 1);
  if (n != expected_elements)
    fail<CorruptData>("bitpacking: {} elements expected, the stream says {}", expected_elements, n);
  return {kTransforms[id], in.subspan(kStreamHeaderBytes)};
}

void append_block(const std::uint32_t* words, Bytes& out) {
  const std::uint32_t width = lane_block_width(words);
  const std::size_t at = out.size();
  out.resize(at + 1 + lane_block_bytes(width));
  out[at] = static_cast<std::byte>(width);
  pack_lanes(words, width, out.data() + at + 1);
}

template <class T>
T transform_one(Transform transform, T value, T previous) noexcept {
  if (transform == Transform::kNone) return value;
  const T difference = static_cast<T>(value - previous);
  if (transform == Transform::kDelta) return difference;
  constexpr int kSignBit = std::numeric_limits<T>::digits - 1;
  return static_cast<T>(static_cast<T>(difference << 1) ^ static_cast<T>(T{0} - (difference >> kSignBit)));
}

// Transformed values, zero-padded to whole blocks.
template <class T>
std::vector<T> transformed(Transform transform, std::span<const std::byte> in) {
  const std::size_t n = in.size() / sizeof(T);
  std::vector<T> values((n + kLaneBlockWords - 1) / kLaneBlockWords * kLaneBlockWords);
  T previous = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const T value = load<T>(in.data() + i * sizeof(T));
    values[i] = transform_one(transform, value, previous);
    previous = value;
  }
  return values;
}

class BitpackingCodec final : public BytesToBytesCodec {
 public:
  BitpackingCodec(Transform transform, std::uint64_t element_bytes, bool adaptive)
      : transform_(transform), element_bytes_(element_bytes), adaptive_(adaptive) {}

  nlohmann::json to_json() const override {
    return {{"name", "homeobox.bitpacking"},
            {"configuration",
             {{"transform", kTransformNames[static_cast<std::size_t>(transform_)]}, {"element_size", element_bytes_}}}};
  }

  std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const override {
    return kStreamHeaderBytes + (n_bytes / 4 + 2 * kLaneBlockWords) / kLaneBlockWords * kMaxBlockBytes;
  }

  void encode(std::span<const std::byte> in, Bytes& out) const override {
    if (in.size() % element_bytes_ != 0)
      fail<InvalidArgument>("homeobox.bitpacking: {} bytes are no multiple of its element size {}", in.size(),
                            element_bytes_);
    if (in.size() / element_bytes_ > std::numeric_limits<std::uint32_t>::max())
      fail<InvalidArgument>("homeobox.bitpacking: {} elements in one chunk, more than 2^32 - 1",
                            in.size() / element_bytes_);
    if (!adaptive_) return encode_with(transform_, in, out);
    Bytes best;
    Bytes candidate;
    for (const Transform transform : kTransforms) {
      candidate.clear();
      encode_with(transform, in, candidate);
      if (best.empty() || candidate.size() < best.size()) best.swap(candidate);
    }
    out.insert(out.end(), best.begin(), best.end());
  }

  void decode(std::span<const std::byte> in, std::uint64_t max_decoded_bytes, Bytes& out) const override {
    if (in.size() < kStreamHeaderBytes)
      fail<CorruptData>("bitpacking: {} bytes, shorter than the header of {}", in.size(), kStreamHeaderBytes);
    const std::uint64_t n_bytes = std::uint64_t{load<std::uint32_t>(in.data() + 1)} * element_bytes_;
    if (n_bytes > max_decoded_bytes)
      fail<CorruptData>("bitpacking: at most {} bytes expected, the stream says {}", max_decoded_bytes, n_bytes);
    out.resize(n_bytes);
    decode_all(in, out);
  }

  void decode_into(std::span<const std::byte> in, std::span<std::byte> out, Bytes&) const override {
    decode_all(in, out);
  }

  // The 64-bit form keeps the halves of a value far apart; it decodes as a whole.
  bool decodes_ranges() const noexcept override { return element_bytes_ == 4; }

  void decode_range(std::span<const std::byte> in, std::uint64_t decoded_bytes, std::uint64_t begin, std::uint64_t end,
                    std::byte* out) const override {
    if (begin == end) return;
    decode_words(in, decoded_bytes, begin, end, out);
  }

 private:
  static void encode_with_header(Transform transform, std::uint64_t n, Bytes& out) {
    const auto n_elements = static_cast<std::uint32_t>(n);
    const auto* const bytes = reinterpret_cast<const std::byte*>(&n_elements);
    out.push_back(static_cast<std::byte>(transform));
    out.insert(out.end(), bytes, bytes + sizeof n_elements);
  }

  void encode_with(Transform transform, std::span<const std::byte> in, Bytes& out) const {
    encode_with_header(transform, in.size() / element_bytes_, out);
    if (element_bytes_ == 4) {
      const auto words = transformed<std::uint32_t>(transform, in);
      for (std::size_t at = 0; at < words.size(); at += kLaneBlockWords) append_block(words.data() + at, out);
      return;
    }
    const auto values = transformed<std::uint64_t>(transform, in);
    Words half;
    for (const int shift : {0, 32}) {
      for (std::size_t at = 0; at < values.size(); at += kLaneBlockWords) {
        for (std::size_t i = 0; i < kLaneBlockWords; ++i) half[i] = static_cast<std::uint32_t>(values[at + i] >> shift);
        append_block(half.data(), out);
      }
    }
  }

  void decode_all(std::span<const std::byte> in, std::span<std::byte> out) const {
    if (element_bytes_ == 4) {
      if (!out.empty() || !in.empty()) decode_words(in, out.size(), 0, out.size(), out.data());
    } else {
      decode_long_words(in, out);
    }
  }

  // Bytes [begin, end) of a stream of 32-bit words.
  static void decode_words(std::span<const std::byte> in, std::uint64_t decoded_bytes, std::uint64_t begin,
                           std::uint64_t end, std::byte* out) {
    const Stream stream = parse_stream(in, decoded_bytes / 4);
    BlockReader reader(stream.blocks);
    constexpr std::uint64_t kBlockBytes = kLaneBlockWords * 4;
    alignas(64) Words words;
    std::uint32_t previous = 0;
    for (std::uint64_t block_begin = 0; block_begin < end; block_begin += kBlockBytes) {
      const bool wanted = block_begin + kBlockBytes > begin;
      if (!wanted && stream.transform == Transform::kNone) {
        reader.skip();
        continue;
      }
      const bool any = reader.read(words.data());
      if (!wanted) {
        if (any)
          previous += stream.transform == Transform::kDelta ? sum_lanes(words.data()) : sum_zigzag_lanes(words.data());
        continue;
      }
      if (stream.transform == Transform::kDelta) previous = undo_lane_delta(words.data(), previous);
      if (stream.transform == Transform::kDeltaZigzag) previous = undo_lane_zigzag(words.data(), previous);
      const std::uint64_t from = std::max(begin, block_begin);
      const std::uint64_t to = std::min(end, block_begin + kBlockBytes);
      std::memcpy(out, reinterpret_cast<const std::byte*>(words.data()) + (from - block_begin), to - from);
      out += to - from;
    }
  }

  static void decode_long_words(std::span<const std::byte> in, std::span<std::byte> out) {
    const std::uint64_t n = out.size() / 8;
    const Stream stream = parse_stream(in, n);
    BlockReader reader(stream.blocks);
    Words words;
    for (const std::size_t half : {0U, 1U}) {
      for (std::uint64_t begin = 0; begin < n; begin += kLaneBlockWords) {
        reader.read(words.data());
        const std::uint64_t in_block = std::min<std::uint64_t>(kLaneBlockWords, n - begin);
        for (std::uint64_t i = 0; i < in_block; ++i)
          std::memcpy(out.data() + 8 * (begin + i) + 4 * half, &words[i], sizeof(std::uint32_t));
      }
    }
    if (stream.transform == Transform::kNone) return;
    std::uint64_t previous = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
      auto value = load<std::uint64_t>(out.data() + 8 * i);
      if (stream.transform == Transform::kDeltaZigzag) value = (value >> 1) ^ (0 - (value & 1));
      previous += value;
      std::memcpy(out.data() + 8 * i, &previous, sizeof previous);
    }
  }

  Transform transform_;
  std::uint64_t element_bytes_;
  bool adaptive_;
};

}  // namespace

std::shared_ptr<const BytesToBytesCodec> make_bitpacking(const nlohmann::json& configuration, const ChunkSpec&) {
  Configuration options("homeobox.bitpacking", configuration);
  const std::optional<std::string> name = options.text("transform");
  if (!name) fail<InvalidArgument>("codec homeobox.bitpacking: 'transform' is missing");
  const auto found = std::find(kTransformNames.begin(), kTransformNames.end(), *name);
  if (found == kTransformNames.end())
    fail<InvalidArgument>("codec homeobox.bitpacking: transform '{}'; expected none, delta or delta_zigzag", *name);
  const std::int64_t element_bytes = options.require_integer("element_size", 4, 8);
  if (element_bytes != 4 && element_bytes != 8)
    fail<InvalidArgument>("codec homeobox.bitpacking: element_size {}; expected 4 or 8", element_bytes);
  const bool adaptive = options.boolean("adaptive").value_or(false);
  options.finish();
  return std::make_shared<BitpackingCodec>(kTransforms[static_cast<std::size_t>(found - kTransformNames.begin())],
                                           static_cast<std::uint64_t>(element_bytes), adaptive);
}

}  // namespace hox::codec
