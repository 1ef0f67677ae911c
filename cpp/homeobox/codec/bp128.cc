#include "homeobox/codec/bp128.h"

#include <limits>

#include "homeobox/base/error.h"
#include "homeobox/codec/bp128_decode.h"
#include "homeobox/codec/bp128_encode.h"
#include "homeobox/codec/configuration.h"

namespace hox::codec {
namespace {

constexpr std::int64_t kVersion = 1;

class Bp128Codec final : public ArrayToBytesCodec {
 public:
  explicit Bp128Codec(ChunkSpec spec) : spec_(std::move(spec)) {}

  nlohmann::json to_json() const override {
    return {{"name", "homeobox.bp128"}, {"configuration", {{"version", kVersion}}}};
  }
  void encode(std::span<const std::byte> in, Bytes& out) const override { bp128::encode_chunk(spec_, in, out); }
  void decode(std::span<const std::byte> encoded, std::span<std::byte> out) const override {
    bp128::decode_range(spec_, encoded, 0, spec_.elements, out.data());
  }
  bool decodes_ranges() const noexcept override { return true; }
  bool decodes_ranges_of(std::span<const std::byte> encoded) const noexcept override {
    return bp128::decodes_ranges(encoded);
  }
  void decode_range(std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end,
                    std::byte* out) const override {
    bp128::decode_range(spec_, encoded, begin, end, out);
  }
  void prefetch_range(std::span<const std::byte> encoded, std::uint64_t begin,
                      std::uint64_t end) const noexcept override {
    bp128::prefetch_range(encoded, begin, end);
  }

 private:
  ChunkSpec spec_;
};

}  // namespace

std::shared_ptr<const ArrayToBytesCodec> make_bp128(const nlohmann::json& configuration, const ChunkSpec& spec) {
  Configuration options("homeobox.bp128", configuration);
  const std::int64_t version = options.require_integer("version", 1, std::numeric_limits<std::int64_t>::max());
  options.finish();
  if (version > kVersion)
    fail<Unsupported>("codec homeobox.bp128: version {} is newer than {}, the newest that this library reads", version,
                      kVersion);
  return std::make_shared<Bp128Codec>(spec);
}

}  // namespace hox::codec
