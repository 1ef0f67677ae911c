#include "homeobox/ragged/kernels/rank.h"

namespace hox::ragged {
namespace {
#include "homeobox/ragged/kernels/rank_loop.h"
}  // namespace

RankColumns plain_rank_columns() noexcept { return &RankLoop::run; }

RankColumns rank_columns() noexcept {
  static const RankColumns best = avx2_rank_columns() != nullptr ? avx2_rank_columns() : plain_rank_columns();
  return best;
}

}  // namespace hox::ragged
