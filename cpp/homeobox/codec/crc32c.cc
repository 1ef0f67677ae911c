#include "homeobox/codec/crc32c.h"

#include <array>
#include <cstdint>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"
#include "homeobox/codec/kernels/crc32c.h"

namespace hox::codec {
namespace {

constexpr std::size_t kChecksumBytes = 4;

std::array<std::byte, kChecksumBytes> little_endian(std::uint32_t value) {
  std::array<std::byte, kChecksumBytes> bytes{};
  for (std::size_t i = 0; i < kChecksumBytes; ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  return bytes;
}

class Crc32cCodec final : public BytesToBytesCodec {
 public:
  nlohmann::json to_json() const override { return {{"name", "crc32c"}}; }

  std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const override { return n_bytes + kChecksumBytes; }

  void encode(std::span<const std::byte> in, Bytes& out) const override {
    const auto checksum = little_endian(crc32c(in));
    out.reserve(out.size() + in.size() + kChecksumBytes);
    out.insert(out.end(), in.begin(), in.end());
    out.insert(out.end(), checksum.begin(), checksum.end());
  }

  void decode(std::span<const std::byte> in, std::uint64_t max_decoded_bytes, Bytes& out) const override {
    const std::span<const std::byte> payload = verify(in);
    if (payload.size() > max_decoded_bytes)
      fail<CorruptData>("crc32c: at most {} bytes expected, {} found", max_decoded_bytes, payload.size());
    out.assign(payload.begin(), payload.end());
  }

  bool decodes_in_place() const noexcept override { return true; }
  std::span<const std::byte> decode_in_place(std::span<const std::byte> in) const override { return verify(in); }

 private:
  static std::span<const std::byte> verify(std::span<const std::byte> in) {
    if (in.size() < kChecksumBytes) fail<CorruptData>("crc32c: no room for a checksum in {} bytes", in.size());
    const std::span<const std::byte> payload = in.first(in.size() - kChecksumBytes);
    std::uint32_t stored = 0;
    for (std::size_t i = 0; i < kChecksumBytes; ++i)
      stored |= std::to_integer<std::uint32_t>(in[payload.size() + i]) << (8 * i);
    const std::uint32_t computed = crc32c(payload);
    if (stored != computed)
      fail<CorruptData>("crc32c: checksum {:08x} stored, {:08x} computed over {} bytes", stored, computed,
                        payload.size());
    return payload;
  }
};

}  // namespace

std::shared_ptr<const BytesToBytesCodec> make_crc32c(const nlohmann::json& configuration, const ChunkSpec&) {
  Configuration("crc32c", configuration).finish();
  return std::make_shared<Crc32cCodec>();
}

}  // namespace hox::codec
