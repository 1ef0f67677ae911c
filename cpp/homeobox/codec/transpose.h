// transpose: permutes the axes of a chunk before it is serialized (zarr v3 core).
#pragma once

#include <memory>

#include "homeobox/codec/codec.h"

namespace hox::codec {

// Throws InvalidArgument for a configuration that cannot be right for these chunks.
std::shared_ptr<const ArrayToArrayCodec> make_transpose(const nlohmann::json& configuration, const ChunkSpec& chunk);

}  // namespace hox::codec
