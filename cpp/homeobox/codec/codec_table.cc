#include "homeobox/codec/codec_table.h"

#include <array>

#include "homeobox/codec/bitpacking.h"
#include "homeobox/codec/blosc.h"
#include "homeobox/codec/bp128.h"
#include "homeobox/codec/bytes.h"
#include "homeobox/codec/crc32c.h"
#include "homeobox/codec/fixedscaleoffset.h"
#include "homeobox/codec/gzip.h"
#include "homeobox/codec/shuffle.h"
#include "homeobox/codec/transpose.h"
#include "homeobox/codec/zstd.h"

namespace hox::codec {
namespace {

constexpr std::array kTable = {
    CodecEntry{"blosc", &make_blosc},
    CodecEntry{"bytes", &make_bytes},
    CodecEntry{"crc32c", &make_crc32c},
    CodecEntry{"gzip", &make_gzip},
    CodecEntry{"homeobox.bitpacking", &make_bitpacking},
    CodecEntry{"homeobox.bp128", &make_bp128},
    CodecEntry{"numcodecs.fixedscaleoffset", &make_fixedscaleoffset},
    CodecEntry{"numcodecs.shuffle", &make_shuffle},
    CodecEntry{"transpose", &make_transpose},
    CodecEntry{"zstd", &make_zstd},
};

}  // namespace

std::span<const CodecEntry> codec_table() noexcept { return kTable; }

const CodecEntry* find_codec(std::string_view name) noexcept {
  for (const CodecEntry& entry : kTable)
    if (entry.name == name) return &entry;
  return nullptr;
}

}  // namespace hox::codec
