// Arrays: any zarr.json with any bytes as every shard reads alike by each way of reading, or is refused.
//
// Two bytes say how long zarr.json is; the bytes behind it are the object of every shard.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/io/memory_store.h"
#include "homeobox/io/unmapped_store.h"
#include "homeobox/zarr/array.h"

namespace {

using hox::zarr::Array;

constexpr std::uint64_t kMaxElements = 4096;
constexpr std::uint64_t kMaxChunkBytes = 1 << 16;
constexpr std::uint64_t kMaxShards = 64;

std::optional<std::vector<std::byte>> try_read(const Array& array, bool by_ranges) {
  std::vector<std::byte> out(array.grid().elements() * array.metadata().fill_value.size());
  const std::vector<std::uint64_t>& shape = array.metadata().shape;
  try {
    if (by_ranges) {
      const std::vector<std::int64_t> begins = {0, static_cast<std::int64_t>(shape[0] / 2)};
      const std::vector<std::int64_t> ends = {begins[1], static_cast<std::int64_t>(shape[0])};
      array.read_ranges(begins, ends, out);
    } else {
      array.read(std::vector<std::uint64_t>(shape.size(), 0), shape, out);
    }
  } catch (const hox::CorruptData&) {
    return std::nullopt;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::span<const std::byte> rest = std::as_bytes(std::span(data, size)).subspan(2);
  const std::size_t text_bytes = std::min<std::size_t>(data[0] | data[1] << 8, rest.size());
  const auto memory = std::make_shared<hox::MemoryStore>();
  memory->write("a/zarr.json", rest.first(text_bytes));
  const auto unmapped = std::make_shared<hox::UnmappedStore>(memory);
  try {
    const auto viewed = Array::open(memory, "a");
    const auto& grid = viewed->grid();
    if (grid.elements() > kMaxElements || viewed->chain().chunk().bytes() > kMaxChunkBytes) return 0;
    if (grid.n_shards() > kMaxShards) return 0;
    for (std::uint64_t shard = 0; shard < grid.n_shards(); ++shard)
      memory->write("a/" + grid.shard_key(shard), rest.subspan(text_bytes));
    const auto fetched = Array::open(unmapped, "a");
    const auto answer = try_read(*viewed, false);
    if (try_read(*fetched, false) != answer) std::abort();
    if (grid.rank() > 0 && answer && try_read(*fetched, true) != answer) std::abort();
  } catch (const hox::Error&) {
  }
  return 0;
}
