#include "homeobox/ragged/kernels/rank.h"

namespace hox::ragged {

#if defined(__x86_64__)

namespace {
#include "homeobox/ragged/kernels/rank_loop.h"
}  // namespace

RankColumns avx2_rank_columns() noexcept {
  const bool available = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi2") != 0 &&
                         __builtin_cpu_supports("popcnt") != 0;
  return available ? &RankLoop::run : nullptr;
}

#else

RankColumns avx2_rank_columns() noexcept { return nullptr; }

#endif

}  // namespace hox::ragged
