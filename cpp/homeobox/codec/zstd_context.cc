#include "homeobox/codec/zstd_context.h"

#include <new>

namespace hox::codec {

ZSTD_CCtx* zstd_compressor() {
  struct Owner {
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ~Owner() { ZSTD_freeCCtx(context); }
  };
  thread_local Owner owner;
  if (owner.context == nullptr) throw std::bad_alloc();
  ZSTD_CCtx_reset(owner.context, ZSTD_reset_session_and_parameters);
  return owner.context;
}

ZSTD_DCtx* zstd_decompressor() {
  struct Owner {
    ZSTD_DCtx* context = ZSTD_createDCtx();
    ~Owner() { ZSTD_freeDCtx(context); }
  };
  thread_local Owner owner;
  if (owner.context == nullptr) throw std::bad_alloc();
  ZSTD_DCtx_reset(owner.context, ZSTD_reset_session_and_parameters);
  return owner.context;
}

}  // namespace hox::codec
