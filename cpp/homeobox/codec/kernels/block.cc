#include "homeobox/codec/kernels/block.h"

#include <cstdlib>
#include <string_view>

namespace hox::codec {
namespace {

const BlockKernels& choose_target() noexcept {
  // Read once, before any decoding; an unknown name means the best.
  const char* const wish = std::getenv("HOX_SIMD");  // NOLINT(concurrency-mt-unsafe)
  const std::string_view name = wish == nullptr ? "" : wish;
  if (name == "plain") return plain_block_kernels();
  if (const BlockKernels* const avx512 = avx512_block_kernels(); avx512 != nullptr && name != "avx2") return *avx512;
  if (const BlockKernels* const avx2 = avx2_block_kernels()) return *avx2;
  if (const BlockKernels* const neon = neon_block_kernels()) return *neon;
  return plain_block_kernels();
}

}  // namespace

const BlockKernels& block_kernels() noexcept {
  static const BlockKernels& chosen = choose_target();
  return chosen;
}

}  // namespace hox::codec
