// bp128 behind its checksums: chunks whose fields are anything and whose checksums hold.
//
// Without this nearly every input would end at the first checksum. The first byte picks the element type. Whole chunk
// and range must agree.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/codec/bp128_layout.h"
#include "homeobox/codec/chain.h"
#include "homeobox/codec/kernels/crc32c.h"

namespace {

using namespace hox::codec;
using hox::DataType;

constexpr std::uint64_t kElements = 1500;
constexpr std::uint64_t kRangeBegin = 300;
constexpr std::uint64_t kRangeEnd = 1100;
constexpr std::array kTypes = {DataType::kUint32,  DataType::kFloat32, DataType::kUint8, DataType::kInt64,
                               DataType::kFloat64, DataType::kFloat16, DataType::kBool,  DataType::kInt16};

const std::vector<CodecChain>& chains() {
  static const std::vector<CodecChain> list = [] {
    const auto codecs = nlohmann::json::parse(R"([{"name": "homeobox.bp128", "configuration": {"version": 1}}])");
    std::vector<CodecChain> result;
    for (const DataType type : kTypes) result.push_back(CodecChain::parse(codecs, make_chunk_spec(type, {kElements})));
    return result;
  }();
  return list;
}

void store(std::vector<std::byte>& chunk, std::size_t at, std::uint32_t word) {
  std::memcpy(chunk.data() + at, &word, sizeof word);
}

// Computes every checksum that lies inside the chunk.
void seal(std::vector<std::byte>& chunk) {
  using namespace bp128;
  if (chunk.size() < kHeaderBytes + kChecksumBytes) return;
  store(chunk, kHeaderBytes - kChecksumBytes, crc32c(std::span(chunk).first(kHeaderBytes - kChecksumBytes)));
  const Header header = peek_header(chunk);
  if (header.mode != Mode::kPlain && header.mode != Mode::kDelta && header.mode != Mode::kZigzag)
    return store(chunk, kHeaderBytes, checksum(header, 0, std::span(chunk).subspan(kHeaderBytes + kChecksumBytes)));
  const std::uint64_t groups_at = kHeaderBytes + header.n_groups() * header.offset_bytes;
  if (header.n_packed > kElements || header.offset_bytes > 4 || groups_at > chunk.size()) return;
  const auto offset = [&](std::uint64_t group) -> std::uint64_t {
    if (group == header.n_groups()) return chunk.size() - groups_at;
    std::uint32_t value = 0;
    std::memcpy(&value, chunk.data() + kHeaderBytes + group * header.offset_bytes, header.offset_bytes);
    return value;
  };
  for (std::uint64_t group = 0; group < header.n_groups(); ++group) {
    const std::uint64_t begin = groups_at + offset(group) + kChecksumBytes;
    const std::uint64_t end = groups_at + offset(group + 1);
    if (begin > end || end > chunk.size()) continue;
    store(chunk, begin - kChecksumBytes,
          checksum(header, static_cast<std::uint32_t>(group), std::span(chunk).subspan(begin, end - begin)));
  }
}

template <class Decode>
std::optional<std::vector<std::byte>> try_decode(std::uint64_t n_bytes, const Decode& decode) {
  std::vector<std::byte> out(n_bytes);
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
  const CodecChain& chain = chains()[data[0] % kTypes.size()];
  const std::size_t width = chain.chunk().bytes() / kElements;
  const auto given = std::as_bytes(std::span(data, size)).subspan(1);
  std::vector<std::byte> chunk(given.begin(), given.end());
  seal(chunk);
  Scratch scratch;
  const auto whole = try_decode(kElements * width, [&](auto& out) { chain.decode(chunk, out, scratch); });
  const auto range = try_decode((kRangeEnd - kRangeBegin) * width, [&](auto& out) {
    chain.decode_range(chunk, kRangeBegin, kRangeEnd, out.data(), scratch);
  });
  if (whole && !range) std::abort();
  if (whole && std::memcmp(whole->data() + kRangeBegin * width, range->data(), range->size()) != 0) std::abort();
  chain.prefetch_range(chunk, kRangeBegin, kRangeEnd);
  return 0;
}
