#include "homeobox/codec/codec.h"

#include <algorithm>
#include <utility>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"

namespace hox::codec {

ChunkSpec make_chunk_spec(DataType dtype, std::vector<std::uint64_t> shape) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : shape) {
    const auto product = checked_multiply(elements, extent);
    if (!product) fail<InvalidArgument>("chunk shape [{}]: the number of elements overflows", fmt::join(shape, ", "));
    elements = *product;
  }
  // Sizes in bytes are halved and doubled freely by the codecs, so leave them room.
  const auto bytes = checked_multiply<std::uint64_t>(elements, element_bytes(dtype));
  if (!bytes || *bytes > (std::uint64_t{1} << 60))
    fail<InvalidArgument>("chunk shape [{}] of {}: the number of bytes overflows", fmt::join(shape, ", "), name(dtype));
  return ChunkSpec{dtype, std::move(shape), elements};
}

std::uint64_t ArrayToBytesCodec::max_encoded_bytes(std::uint64_t n_bytes) const { return 2 * n_bytes + 65536; }

void ArrayToBytesCodec::decode_range(std::span<const std::byte>, std::uint64_t, std::uint64_t, std::byte*) const {
  fail<Error>("decode_range: this codec decodes whole chunks only");
}

void BytesToBytesCodec::decode_range(std::span<const std::byte>, std::uint64_t, std::uint64_t, std::uint64_t,
                                     std::byte*) const {
  fail<Error>("decode_range: this codec decodes whole chunks only");
}

void BytesToBytesCodec::decode_into(std::span<const std::byte> in, std::span<std::byte> out, Bytes& scratch) const {
  decode(in, out.size(), scratch);
  if (scratch.size() != out.size()) fail<CorruptData>("{} bytes expected, {} decoded", out.size(), scratch.size());
  std::copy(scratch.begin(), scratch.end(), out.begin());
}

std::span<const std::byte> BytesToBytesCodec::decode_in_place(std::span<const std::byte>) const {
  fail<Error>("decode_in_place: this codec changes the bytes");
}

}  // namespace hox::codec
