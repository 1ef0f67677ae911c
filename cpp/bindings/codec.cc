// Binds codec/: one chunk through a chain of codecs, for plugins and tests.

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bindings.h"
#include "homeobox/base/error.h"
#include "homeobox/codec/chain.h"
#include "homeobox/codec/kernels/block.h"
#include "homeobox/codec/kernels/crc32c.h"
#include "json_text.h"
#include "ndarray.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;

codec::CodecChain parse_chain(const std::string& codecs, const std::string& dtype,
                              const std::vector<std::uint64_t>& shape) {
  return codec::CodecChain::parse(parse_json_argument(codecs, "codecs_json"),
                                  codec::make_chunk_spec(dtype_from_name(dtype), shape));
}

nb::bytes encode_chunk(const std::string& codecs, const std::string& dtype, const std::vector<std::uint64_t>& shape,
                       nb::handle data) {
  const BufferView view(data);
  codec::Bytes encoded;
  {
    const GilRelease released;
    codec::Scratch scratch;
    parse_chain(codecs, dtype, shape).encode(view.bytes(), encoded, scratch);
  }
  return to_bytes(encoded);
}

NumpyArray decode_chunk(const std::string& codecs, const std::string& dtype, const std::vector<std::uint64_t>& shape,
                        nb::handle encoded) {
  const BufferView view(encoded);
  RawBuffer decoded;
  {
    const GilRelease released;
    codec::Scratch scratch;
    const codec::CodecChain chain = parse_chain(codecs, dtype, shape);
    decoded = RawBuffer(chain.chunk().bytes());
    chain.decode(view.bytes(), {decoded.data(), decoded.size()}, scratch);
  }
  return to_ndarray(std::move(decoded), dtype_from_name(dtype), shape);
}

std::uint32_t crc32c(nb::handle data) {
  const BufferView view(data);
  const GilRelease released;
  return codec::crc32c(view.bytes());
}

std::string cpu_features() { return codec::block_kernels().name; }

constexpr const char* kCpuFeaturesDoc = R"(The instruction set that packed blocks are decoded with.

Returns
-------
features : str
    ``"avx512"``, ``"avx2"``, ``"neon"`` or ``"plain"``: the best of this processor, or what ``HOX_SIMD`` names.
)";

constexpr const char* kEncodeChunkDoc = R"(Encode one chunk.

Parameters
----------
codecs_json : str
    The list of codecs, as in ``zarr.json``.
dtype : str
    Zarr name of the element type, such as ``"uint32"``.
shape : list of int
    Shape of the chunk.
data : buffer
    The elements in C order and native byte order, such as a contiguous ndarray.

Returns
-------
encoded : bytes

Raises
------
InvalidArgumentError
    The data has another size, or a codec's configuration cannot be right.
UnsupportedError
    There is no such codec.
)";

constexpr const char* kDecodeChunkDoc = R"(Decode one chunk.

Parameters
----------
codecs_json, dtype, shape
    As for `encode_chunk`.
encoded : buffer

Returns
-------
data : ndarray of `dtype` and `shape`

Raises
------
CorruptDataError
    The bytes are no encoding of such a chunk.
)";

constexpr const char* kCrc32cDoc = R"(CRC-32C (Castagnoli) of a buffer, as an int.)";

}  // namespace

void bind_codec(nb::module_& m) {
  m.def("encode_chunk", &encode_chunk, "codecs_json"_a, "dtype"_a, "shape"_a, "data"_a, kEncodeChunkDoc);
  m.def("decode_chunk", &decode_chunk, "codecs_json"_a, "dtype"_a, "shape"_a, "encoded"_a, kDecodeChunkDoc);
  m.def("crc32c", &crc32c, "data"_a, kCrc32cDoc);
  m.def("cpu_features", &cpu_features, kCpuFeaturesDoc);
}

}  // namespace hox::bindings
