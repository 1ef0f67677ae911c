// The zstd contexts of a thread: they cost more to make than a small chunk costs to code, so each thread keeps one of
// each kind.
#pragma once

#include <zstd.h>

namespace hox::codec {

// Reset to defaults; for the calling thread, until it asks again. Throws std::bad_alloc.
ZSTD_CCtx* zstd_compressor();
ZSTD_DCtx* zstd_decompressor();

}  // namespace hox::codec
