#include "homeobox/codec/zstd.h"

#include <zstd.h>

#include <algorithm>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"

namespace hox::codec {
namespace {

// Contexts cost more to make than a small chunk costs to code, so each thread keeps one of each kind.
ZSTD_CCtx* compressor() {
  struct Owner {
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ~Owner() { ZSTD_freeCCtx(context); }
  };
  thread_local Owner owner;
  if (owner.context == nullptr) throw std::bad_alloc();
  ZSTD_CCtx_reset(owner.context, ZSTD_reset_session_and_parameters);
  return owner.context;
}

ZSTD_DCtx* decompressor() {
  struct Owner {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    ~Owner() { ZSTD_freeDCtx(context); }
  };
  thread_local Owner owner;
  if (owner.context == nullptr) throw std::bad_alloc();
  ZSTD_DCtx_reset(owner.context, ZSTD_reset_session_and_parameters);
  return owner.context;
}

[[noreturn]] void fail_decoding(std::size_t code) { fail<CorruptData>("zstd: {}", ZSTD_getErrorName(code)); }

class ZstdCodec final : public BytesToBytesCodec {
 public:
  ZstdCodec(int level, bool checksum) : level_(level), checksum_(checksum) {}

  nlohmann::json to_json() const override {
    return {{"name", "zstd"}, {"configuration", {{"level", level_}, {"checksum", checksum_}}}};
  }

  std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const override { return ZSTD_compressBound(n_bytes) + 64; }

  void encode(std::span<const std::byte> in, Bytes& out) const override {
    ZSTD_CCtx* context = compressor();
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level_);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum_ ? 1 : 0);
    const std::size_t begin = out.size();
    out.resize(begin + ZSTD_compressBound(in.size()));
    const std::size_t written = ZSTD_compress2(context, out.data() + begin, out.size() - begin, in.data(), in.size());
    if (ZSTD_isError(written)) fail<Error>("zstd: {}", ZSTD_getErrorName(written));
    out.resize(begin + written);
  }

  void decode(std::span<const std::byte> in, std::uint64_t max_decoded_bytes, Bytes& out) const override {
    // Writers other than zstd's one-shot function may leave the size out, or write several frames.
    const unsigned long long claimed = ZSTD_getFrameContentSize(in.data(), in.size());
    if (claimed == ZSTD_CONTENTSIZE_ERROR) fail<CorruptData>("zstd: no frame in {} bytes", in.size());
    const bool sized =
        claimed != ZSTD_CONTENTSIZE_UNKNOWN && ZSTD_findFrameCompressedSize(in.data(), in.size()) == in.size();
    if (!sized) return decode_frames(in, max_decoded_bytes, out);
    if (claimed > max_decoded_bytes)
      fail<CorruptData>("zstd: at most {} bytes expected, the frame claims {}", max_decoded_bytes, claimed);
    out.resize(claimed);
    decode_exactly(in, out);
  }

  void decode_into(std::span<const std::byte> in, std::span<std::byte> out, Bytes&) const override {
    decode_exactly(in, out);
  }

 private:
  static void decode_exactly(std::span<const std::byte> in, std::span<std::byte> out) {
    const std::size_t decoded = ZSTD_decompressDCtx(decompressor(), out.data(), out.size(), in.data(), in.size());
    if (ZSTD_isError(decoded)) fail_decoding(decoded);
    if (decoded != out.size()) fail<CorruptData>("zstd: {} bytes expected, {} decoded", out.size(), decoded);
  }

  static void decode_frames(std::span<const std::byte> in, std::uint64_t max_decoded_bytes, Bytes& out) {
    ZSTD_DCtx* context = decompressor();
    ZSTD_inBuffer source{in.data(), in.size(), 0};
    std::size_t used = 0;
    std::size_t state = 1;
    // One byte beyond the bound is room to notice that the frames hold more.
    while (source.pos < source.size || state != 0) {
      if (used == out.size()) {
        if (used > max_decoded_bytes) fail<CorruptData>("zstd: more than {} bytes decoded", max_decoded_bytes);
        out.resize(std::min<std::uint64_t>(std::max<std::uint64_t>(2 * used, 65536), max_decoded_bytes + 1));
      }
      ZSTD_outBuffer target{out.data(), out.size(), used};
      const std::size_t before = source.pos;
      state = ZSTD_decompressStream(context, &target, &source);
      if (ZSTD_isError(state)) fail_decoding(state);
      const bool stuck = source.pos == before && target.pos == used && target.pos < target.size;
      used = target.pos;
      if (stuck) fail<CorruptData>("zstd: the last frame is cut short after {} bytes", in.size());
    }
    if (used > max_decoded_bytes) fail<CorruptData>("zstd: more than {} bytes decoded", max_decoded_bytes);
    out.resize(used);
  }

  int level_;
  bool checksum_;
};

}  // namespace

std::shared_ptr<const BytesToBytesCodec> make_zstd(const nlohmann::json& configuration, const ChunkSpec&) {
  Configuration members("zstd", configuration);
  const auto level = members.integer("level", ZSTD_minCLevel(), ZSTD_maxCLevel()).value_or(0);
  const bool checksum = members.boolean("checksum").value_or(false);
  members.finish();
  return std::make_shared<ZstdCodec>(static_cast<int>(level), checksum);
}

}  // namespace hox::codec
