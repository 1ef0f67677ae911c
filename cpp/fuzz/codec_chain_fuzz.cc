// Decoders: any bytes decode to a chunk or are CorruptData, and a range decodes to the same elements as the whole.
//
// The first byte picks the chain. Where both succeed, whole and range must agree; a range may succeed alone, because
// it looks at less.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/codec/chain.h"

namespace {

using hox::codec::CodecChain;
using hox::codec::Scratch;

constexpr std::uint64_t kElements = 300;
constexpr std::uint64_t kRangeBegin = 100;
constexpr std::uint64_t kRangeEnd = 260;

constexpr std::array kCodecs = {
    R"(["bytes", "zstd"])",
    R"(["bytes", "gzip"])",
    R"(["bytes", "blosc"])",
    R"(["bytes", "crc32c"])",
    R"(["bytes", "numcodecs.shuffle", "zstd"])",
    R"([{"name": "transpose", "configuration": {"order": [0]}}, "bytes"])",
    R"([{"name": "numcodecs.fixedscaleoffset", "configuration": {"offset": 1, "scale": 10, "astype": "f4"}}, "bytes"])",
    R"(["bytes", {"name": "homeobox.bitpacking", "configuration": {"transform": "delta", "element_size": 4}}])",
    R"([{"name": "homeobox.bp128", "configuration": {"version": 1}}])",
    R"(["bytes", {"name": "homeobox.bitpacking", "configuration": {"transform": "delta_zigzag", "element_size": 8}}])",
    R"([{"name": "bytes", "configuration": {"endian": "big"}}, "crc32c", "crc32c"])",
    R"(["bytes", "zstd", "gzip", "zstd"])",
};

const std::vector<CodecChain>& chains() {
  static const std::vector<CodecChain> list = [] {
    std::vector<CodecChain> result;
    for (const char* codecs : kCodecs)
      result.push_back(CodecChain::parse(nlohmann::json::parse(codecs),
                                         hox::codec::make_chunk_spec(hox::DataType::kUint32, {kElements})));
    return result;
  }();
  return list;
}

template <class Decode>
std::optional<std::vector<std::byte>> try_decode(std::uint64_t elements, const Decode& decode) {
  std::vector<std::byte> out(elements * 4);
  try {
    decode(out);
  } catch (const hox::CorruptData&) {
    return std::nullopt;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const CodecChain& chain = chains()[data[0] % chains().size()];
  const std::span<const std::byte> encoded = std::as_bytes(std::span(data, size)).subspan(1);
  Scratch scratch;
  const auto whole = try_decode(kElements, [&](auto& out) { chain.decode(encoded, out, scratch); });
  const auto range = try_decode(kRangeEnd - kRangeBegin, [&](auto& out) {
    chain.decode_range(encoded, kRangeBegin, kRangeEnd, out.data(), scratch);
  });
  if (whole && !range) std::abort();
  if (whole && std::memcmp(whole->data() + kRangeBegin * 4, range->data(), range->size()) != 0) std::abort();
  return 0;
}
