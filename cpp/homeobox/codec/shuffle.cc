#include "homeobox/codec/shuffle.h"

#include <algorithm>

#include "homeobox/base/error.h"
#include "homeobox/codec/byte_planes.h"
#include "homeobox/codec/configuration.h"

namespace hox::codec {
namespace {

class ShuffleCodec final : public BytesToBytesCodec {
 public:
  explicit ShuffleCodec(std::size_t element) : element_(element) {}

  nlohmann::json to_json() const override {
    return {{"name", "numcodecs.shuffle"}, {"configuration", {{"elementsize", element_}}}};
  }

  std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const override { return n_bytes; }

  void encode(std::span<const std::byte> in, Bytes& out) const override {
    if (in.size() % element_ != 0)
      fail<InvalidArgument>("numcodecs.shuffle: a multiple of {} bytes expected, found {}", element_, in.size());
    const std::size_t begin = out.size();
    out.resize(begin + in.size());
    split_byte_planes(in, element_, out.data() + begin);
  }

  void decode(std::span<const std::byte> in, std::uint64_t max_decoded_bytes, Bytes& out) const override {
    if (in.size() > max_decoded_bytes)
      fail<CorruptData>("numcodecs.shuffle: at most {} bytes expected, found {}", max_decoded_bytes, in.size());
    out.resize(in.size());
    unshuffle(in, out);
  }

  void decode_into(std::span<const std::byte> in, std::span<std::byte> out, Bytes&) const override {
    if (in.size() != out.size())
      fail<CorruptData>("numcodecs.shuffle: {} bytes expected, found {}", out.size(), in.size());
    unshuffle(in, out);
  }

 private:
  void unshuffle(std::span<const std::byte> in, std::span<std::byte> out) const {
    if (in.size() % element_ != 0)
      fail<CorruptData>("numcodecs.shuffle: a multiple of {} bytes expected, found {}", element_, in.size());
    join_byte_planes(in, element_, out.data());
  }

  std::size_t element_;
};

}  // namespace

std::shared_ptr<const BytesToBytesCodec> make_shuffle(const nlohmann::json& configuration, const ChunkSpec& chunk) {
  Configuration members("numcodecs.shuffle", configuration);
  const auto element = members.integer("elementsize", 0, 1 << 20);
  members.finish();
  // numcodecs copies for element sizes 0 and 1 alike.
  return std::make_shared<ShuffleCodec>(element ? std::max(std::size_t{1}, static_cast<std::size_t>(*element))
                                                : element_bytes(chunk.dtype));
}

}  // namespace hox::codec
