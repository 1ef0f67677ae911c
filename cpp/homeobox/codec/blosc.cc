#include "homeobox/codec/blosc.h"

#include <blosc.h>

#include <array>
#include <string>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"

namespace hox::codec {
namespace {

// Position in the list = BLOSC_NOSHUFFLE, BLOSC_SHUFFLE, BLOSC_BITSHUFFLE.
constexpr std::array<std::string_view, 3> kShuffles = {"noshuffle", "shuffle", "bitshuffle"};
static_assert(BLOSC_NOSHUFFLE == 0 && BLOSC_SHUFFLE == 1 && BLOSC_BITSHUFFLE == 2);

struct BloscOptions {
  std::string cname;
  int clevel;
  int shuffle;
  std::size_t typesize;
  std::size_t blocksize;
};

class BloscCodec final : public BytesToBytesCodec {
 public:
  explicit BloscCodec(BloscOptions options) : options_(std::move(options)) {}

  nlohmann::json to_json() const override {
    return {{"name", "blosc"},
            {"configuration",
             {{"cname", options_.cname},
              {"clevel", options_.clevel},
              {"shuffle", kShuffles[static_cast<std::size_t>(options_.shuffle)]},
              {"typesize", options_.typesize},
              {"blocksize", options_.blocksize}}}};
  }

  std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const override { return n_bytes + BLOSC_MAX_OVERHEAD; }

  void encode(std::span<const std::byte> in, Bytes& out) const override {
    if (in.size() > BLOSC_MAX_BUFFERSIZE)
      fail<InvalidArgument>("blosc: chunks of at most {} bytes expected, found {}", BLOSC_MAX_BUFFERSIZE, in.size());
    const std::size_t begin = out.size();
    out.resize(begin + in.size() + BLOSC_MAX_OVERHEAD);
    const int written =
        blosc_compress_ctx(options_.clevel, options_.shuffle, options_.typesize, in.size(), in.data(),
                           out.data() + begin, out.size() - begin, options_.cname.c_str(), options_.blocksize, 1);
    if (written <= 0) fail<Error>("blosc: compression failed with code {}", written);
    out.resize(begin + static_cast<std::size_t>(written));
  }

  void decode(std::span<const std::byte> in, std::uint64_t max_decoded_bytes, Bytes& out) const override {
    const std::size_t decoded_bytes = claimed_bytes(in);
    if (decoded_bytes > max_decoded_bytes)
      fail<CorruptData>("blosc: at most {} bytes expected, the header claims {}", max_decoded_bytes, decoded_bytes);
    out.resize(decoded_bytes);
    decompress(in, out);
  }

  void decode_into(std::span<const std::byte> in, std::span<std::byte> out, Bytes&) const override {
    const std::size_t decoded_bytes = claimed_bytes(in);
    if (decoded_bytes != out.size())
      fail<CorruptData>("blosc: {} bytes expected, the header claims {}", out.size(), decoded_bytes);
    decompress(in, out);
  }

 private:
  // blosc_decompress_ctx trusts the header, so its sizes are compared with what is really there first.
  static std::size_t claimed_bytes(std::span<const std::byte> in) {
    std::size_t decoded_bytes = 0;
    if (in.size() < BLOSC_MIN_HEADER_LENGTH || blosc_cbuffer_validate(in.data(), in.size(), &decoded_bytes) != 0)
      fail<CorruptData>("blosc: {} bytes that are no blosc buffer", in.size());
    return decoded_bytes;
  }

  static void decompress(std::span<const std::byte> in, std::span<std::byte> out) {
    if (out.empty()) return;
    const int decoded = blosc_decompress_ctx(in.data(), out.data(), out.size(), 1);
    if (decoded < 0 || static_cast<std::size_t>(decoded) != out.size())
      fail<CorruptData>("blosc: {} bytes expected, decoding answered {}", out.size(), decoded);
  }

  BloscOptions options_;
};

int shuffle_code(const std::string& shuffle) {
  for (std::size_t code = 0; code < kShuffles.size(); ++code)
    if (kShuffles[code] == shuffle) return static_cast<int>(code);
  fail<InvalidArgument>("codec blosc: one of {} expected as shuffle, found \"{}\"", fmt::join(kShuffles, ", "),
                        shuffle);
}

}  // namespace

std::shared_ptr<const BytesToBytesCodec> make_blosc(const nlohmann::json& configuration, const ChunkSpec& chunk) {
  Configuration members("blosc", configuration);
  BloscOptions options;
  const auto element = static_cast<std::int64_t>(element_bytes(chunk.dtype));
  // Defaults are those that zarr-python derives from the dtype.
  options.cname = members.text("cname").value_or("zstd");
  options.clevel = static_cast<int>(members.integer("clevel", 0, 9).value_or(5));
  options.shuffle = shuffle_code(members.text("shuffle").value_or(element == 1 ? "bitshuffle" : "shuffle"));
  options.typesize = static_cast<std::size_t>(members.integer("typesize", 1, BLOSC_MAX_TYPESIZE).value_or(element));
  options.blocksize = static_cast<std::size_t>(members.integer("blocksize", 0, BLOSC_MAX_BUFFERSIZE).value_or(0));
  members.finish();
  if (blosc_compname_to_compcode(options.cname.c_str()) < 0)
    fail<Unsupported>("codec blosc: compressor \"{}\" is not in this build of c-blosc", options.cname);
  return std::make_shared<BloscCodec>(std::move(options));
}

}  // namespace hox::codec
