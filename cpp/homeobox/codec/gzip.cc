#include "homeobox/codec/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <new>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"

namespace hox::codec {
namespace {

constexpr int kGzipWindow = 15 + 16;  // the largest window, with gzip's header and trailer
constexpr int kDefaultLevel = 5;      // zarr-python's
// zlib counts in 32 bits; larger buffers pass through in slices.
constexpr std::size_t kSliceBytes = std::size_t{1} << 30;

// z_stream's pointers are not const, though zlib only reads its input.
Bytef* mutable_bytes(const std::byte* bytes) { return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes)); }

class Deflater {
 public:
  explicit Deflater(int level) {
    if (deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { deflateEnd(&stream); }
  z_stream stream{};
};

class Inflater {
 public:
  Inflater() {
    if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream); }
  z_stream stream{};
};

class GzipCodec final : public BytesToBytesCodec {
 public:
  explicit GzipCodec(int level) : level_(level) {}

  nlohmann::json to_json() const override { return {{"name", "gzip"}, {"configuration", {{"level", level_}}}}; }

  std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const override {
    return n_bytes + n_bytes / 1000 + 65536;  // stored blocks, with slack for many small members
  }

  void encode(std::span<const std::byte> in, Bytes& out) const override {
    Deflater deflater(level_);
    z_stream& stream = deflater.stream;
    std::size_t used = out.size();
    std::size_t consumed = 0;
    int state = Z_OK;
    while (state != Z_STREAM_END) {
      if (used == out.size()) out.resize(used + std::clamp<std::size_t>(in.size() / 2, 256, kSliceBytes));
      const std::size_t in_slice = std::min(in.size() - consumed, kSliceBytes);
      const std::size_t out_slice = std::min(out.size() - used, kSliceBytes);
      stream.next_in = mutable_bytes(in.data() + consumed);
      stream.avail_in = static_cast<uInt>(in_slice);
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
      stream.avail_out = static_cast<uInt>(out_slice);
      state = deflate(&stream, consumed + in_slice == in.size() ? Z_FINISH : Z_NO_FLUSH);
      if (state == Z_STREAM_ERROR) fail<Error>("gzip: deflate refused its own state");
      consumed += in_slice - stream.avail_in;
      used += out_slice - stream.avail_out;
    }
    out.resize(used);
  }

  void decode(std::span<const std::byte> in, std::uint64_t max_decoded_bytes, Bytes& out) const override {
    Inflater inflater;
    z_stream& stream = inflater.stream;
    std::size_t used = 0;
    std::size_t consumed = 0;
    while (true) {
      if (used == out.size()) {
        if (used > max_decoded_bytes) fail<CorruptData>("gzip: more than {} bytes decoded", max_decoded_bytes);
        // One byte beyond the bound is room to notice that the members hold more.
        out.resize(std::min<std::uint64_t>(std::max<std::uint64_t>(2 * used, 65536), max_decoded_bytes + 1));
      }
      const std::size_t in_slice = std::min(in.size() - consumed, kSliceBytes);
      const std::size_t out_slice = std::min(out.size() - used, kSliceBytes);
      stream.next_in = mutable_bytes(in.data() + consumed);
      stream.avail_in = static_cast<uInt>(in_slice);
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
      stream.avail_out = static_cast<uInt>(out_slice);
      const int state = inflate(&stream, Z_NO_FLUSH);
      consumed += in_slice - stream.avail_in;
      used += out_slice - stream.avail_out;
      if (state == Z_STREAM_END) {
        if (only_padding(in.subspan(consumed))) break;
        if (inflateReset(&stream) != Z_OK) fail<Error>("gzip: inflate refused its own state");
      } else if (state == Z_BUF_ERROR && consumed == in.size()) {
        fail<CorruptData>("gzip: cut short after {} bytes", in.size());
      } else if (state != Z_OK && state != Z_BUF_ERROR) {
        fail<CorruptData>("gzip: {}", stream.msg == nullptr ? "invalid stream" : stream.msg);
      }
    }
    if (used > max_decoded_bytes) fail<CorruptData>("gzip: more than {} bytes decoded", max_decoded_bytes);
    out.resize(used);
  }

 private:
  // gzip files may end in zeros, and Python's gzip accepts them.
  static bool only_padding(std::span<const std::byte> rest) {
    return std::all_of(rest.begin(), rest.end(), [](std::byte byte) { return byte == std::byte{0}; });
  }

  int level_;
};

}  // namespace

std::shared_ptr<const BytesToBytesCodec> make_gzip(const nlohmann::json& configuration, const ChunkSpec&) {
  Configuration members("gzip", configuration);
  const auto level = members.integer("level", 0, 9).value_or(kDefaultLevel);
  members.finish();
  return std::make_shared<GzipCodec>(static_cast<int>(level));
}

}  // namespace hox::codec
