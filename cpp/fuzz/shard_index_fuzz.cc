// Shard index: every extent that is accepted lies inside the object and overlaps no other; checked the slow way.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "homeobox/base/error.h"
#include "homeobox/zarr/shard_index.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hox::zarr;
  if (size < 3) return 0;
  const ShardIndexEncoding encoding{(data[0] & 1) != 0, (data[0] & 2) != 0, false};
  const std::uint64_t object_bytes = data[1];
  const std::uint64_t max_chunk_bytes = data[2];
  const std::span<const std::byte> table = std::as_bytes(std::span(data, size)).subspan(3);
  try {
    const auto extents = parse_shard_index(table, table.size() / 16, encoding, object_bytes, max_chunk_bytes);
    for (std::size_t i = 0; i < extents.size(); ++i) {
      if (!extents[i].present()) continue;
      if (extents[i].end() > object_bytes || extents[i].n_bytes > max_chunk_bytes) std::abort();
      for (std::size_t j = 0; j < i; ++j) {
        const bool apart = !extents[j].present() || extents[j].n_bytes == 0 || extents[i].n_bytes == 0 ||
                           extents[j].end() <= extents[i].begin || extents[i].end() <= extents[j].begin;
        if (!apart) std::abort();
      }
    }
  } catch (const hox::CorruptData&) {
  }
  return 0;
}
