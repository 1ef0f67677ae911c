#include "homeobox/codec/bytes.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"

namespace hox::codec {
namespace {

template <std::size_t kWidth>
void reverse_elements(const std::byte* in, std::byte* out, std::size_t elements) {
  for (std::size_t i = 0; i < elements; ++i)
    for (std::size_t k = 0; k < kWidth; ++k) out[i * kWidth + k] = in[i * kWidth + kWidth - 1 - k];
}

void reverse_elements(std::size_t width, const std::byte* in, std::byte* out, std::size_t n_bytes) {
  switch (width) {
    case 2:
      return reverse_elements<2>(in, out, n_bytes / 2);
    case 4:
      return reverse_elements<4>(in, out, n_bytes / 4);
    default:
      return reverse_elements<8>(in, out, n_bytes / 8);
  }
}

class BytesCodec final : public ArrayToBytesCodec {
 public:
  BytesCodec(std::size_t width, std::endian order)
      : width_(width), order_(order), swaps_(width > 1 && order != std::endian::native) {}

  nlohmann::json to_json() const override {
    if (width_ == 1) return {{"name", "bytes"}};
    return {{"name", "bytes"}, {"configuration", {{"endian", order_ == std::endian::big ? "big" : "little"}}}};
  }

  std::uint64_t max_encoded_bytes(std::uint64_t n_bytes) const override { return n_bytes; }

  void encode(std::span<const std::byte> in, Bytes& out) const override {
    const std::size_t begin = out.size();
    out.resize(begin + in.size());
    copy(in.data(), out.data() + begin, in.size());
  }

  void decode(std::span<const std::byte> encoded, std::span<std::byte> out) const override {
    check_size(encoded, out.size());
    copy(encoded.data(), out.data(), out.size());
  }

  bool keeps_bytes() const noexcept override { return !swaps_; }
  bool decodes_ranges() const noexcept override { return true; }

  void decode_range(std::span<const std::byte> encoded, std::uint64_t begin, std::uint64_t end,
                    std::byte* out) const override {
    if (encoded.size() / width_ < end)
      fail<CorruptData>("bytes: {} elements expected, {} bytes found", end, encoded.size());
    copy(encoded.data() + begin * width_, out, (end - begin) * width_);
  }

 private:
  static void check_size(std::span<const std::byte> encoded, std::size_t expected) {
    if (encoded.size() != expected) fail<CorruptData>("bytes: {} bytes expected, {} found", expected, encoded.size());
  }

  void copy(const std::byte* in, std::byte* out, std::size_t n_bytes) const {
    if (n_bytes == 0) return;
    if (swaps_)
      reverse_elements(width_, in, out, n_bytes);
    else
      std::memcpy(out, in, n_bytes);
  }

  std::size_t width_;
  std::endian order_;
  bool swaps_;
};

}  // namespace

std::shared_ptr<const ArrayToBytesCodec> make_bytes(const nlohmann::json& configuration, const ChunkSpec& chunk) {
  Configuration members("bytes", configuration);
  const std::string endian = members.text("endian").value_or("little");
  members.finish();
  if (endian != "little" && endian != "big")
    fail<InvalidArgument>("codec bytes: \"little\" or \"big\" expected as endian, found \"{}\"", endian);
  return std::make_shared<BytesCodec>(element_bytes(chunk.dtype),
                                      endian == "big" ? std::endian::big : std::endian::little);
}

}  // namespace hox::codec
