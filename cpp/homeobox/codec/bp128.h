// homeobox.bp128: typed array-to-bytes codec of packed blocks of 128 elements that decode alone.
//
// Configuration: {"version": 1}. Per chunk it chooses among constant, packed (plain, delta, zigzag), zstd and raw; see
// bp128_layout.h. Every byte is covered by a checksum.
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

std::shared_ptr<const ArrayToBytesCodec> make_bp128(const nlohmann::json& configuration, const ChunkSpec& spec);

}  // namespace hox::codec
