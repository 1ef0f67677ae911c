#include "homeobox/codec/zstd.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"
#include "homeobox/codec/zstd_context.h"

namespace hox::codec {
namespace {

class ZstdCodec final : public BytesToBytesCodec {
 public:
  ZstdCodec(int level, bool checksum) : level_(level), checksum_(checksum) {}

  nlohmann::json to_json() const override {
    return {{"name", "zstd"}, {"configuration", {{"level", level_}, {"checksum", checksum_}}}};
  }

  std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const override { return ZSTD_compressBound(n_bytes) + 64; }

  void encode(std::span<const std::byte> in, Bytes& out) const override {
    ZSTD_CCtx* context = zstd_compressor();
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
    if (sized && claimed > max_decoded_bytes)
      fail<CorruptData>("zstd: at most {} bytes expected, the frame claims {}", max_decoded_bytes, claimed);
    // In one pass even where the size is unknown: the streaming decoder would allocate the window that the frame asks
    // for, up to 128 MiB whatever the chunk's size.
    out.resize(sized ? claimed : max_decoded_bytes);
    out.resize(decompress(in, out));
  }

  void decode_into(std::span<const std::byte> in, std::span<std::byte> out, Bytes&) const override {
    const std::size_t decoded = decompress(in, out);
    if (decoded != out.size()) fail<CorruptData>("zstd: {} bytes expected, {} decoded", out.size(), decoded);
  }

 private:
  // All frames; answers how many bytes of `out` they fill.
  static std::size_t decompress(std::span<const std::byte> in, std::span<std::byte> out) {
    const std::size_t decoded = ZSTD_decompressDCtx(zstd_decompressor(), out.data(), out.size(), in.data(), in.size());
    if (ZSTD_getErrorCode(decoded) == ZSTD_error_dstSize_tooSmall)
      fail<CorruptData>("zstd: at most {} bytes expected, more decoded", out.size());
    if (ZSTD_isError(decoded)) fail<CorruptData>("zstd: {}", ZSTD_getErrorName(decoded));
    return decoded;
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
