#include "homeobox/zarr/chunk_grid.h"

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"

namespace hox::zarr {
namespace {

// Leaves room for sizes in bytes and for rounding up to whole chunks.
constexpr std::uint64_t kMaxProduct = std::uint64_t{1} << 60;

std::uint64_t product(const Coordinates& extents, const char* what) {
  std::uint64_t result = 1;
  for (const std::uint64_t extent : extents) {
    const auto next = checked_multiply(result, extent);
    if (!next || *next > kMaxProduct) fail<InvalidArgument>("too many {}: {}", what, fmt::join(extents, " x "));
    result = *next;
  }
  return result;
}

Coordinates unravel(std::uint64_t number, const Coordinates& grid) {
  Coordinates coordinates(grid.size());
  for (std::size_t axis = grid.size(); axis-- > 0;) {
    coordinates[axis] = number % grid[axis];
    number /= grid[axis];
  }
  return coordinates;
}

}  // namespace

ChunkGrid ChunkGrid::make(const ArrayMetadata& metadata) {
  ChunkGrid grid;
  grid.shape_ = metadata.shape;
  grid.chunk_shape_ = metadata.chunk_shape;
  grid.key_encoding_ = metadata.key_encoding;
  for (std::size_t axis = 0; axis < metadata.shape.size(); ++axis) {
    grid.chunks_.push_back(ceil_divide(metadata.shape[axis], metadata.chunk_shape[axis]));
    grid.shards_.push_back(ceil_divide(metadata.shape[axis], metadata.shard_shape[axis]));
    grid.shard_chunks_.push_back(metadata.shard_shape[axis] / metadata.chunk_shape[axis]);
    // With one chunk across every other axis, both numberings follow axis 0.
    if (axis > 0 && (grid.chunks_[axis] > 1 || grid.shard_chunks_[axis] > 1)) grid.split_on_axis_0_ = false;
  }
  grid.elements_ = product(grid.shape_, "elements");
  grid.chunk_elements_ = product(grid.chunk_shape_, "elements of a chunk");
  grid.n_chunks_ = product(grid.chunks_, "chunks");
  grid.n_shards_ = product(grid.shards_, "shards");
  grid.chunks_per_shard_ = product(grid.shard_chunks_, "chunks of a shard");
  const auto without_axis_0 = [](const Coordinates& extents) {
    return extents.empty() ? extents : Coordinates(extents.begin() + 1, extents.end());
  };
  grid.chunks_per_row_ = product(without_axis_0(grid.chunks_), "chunks");
  grid.shards_per_row_ = product(without_axis_0(grid.shards_), "shards");
  return grid;
}

ChunkLocation ChunkGrid::locate_in_grid(std::uint64_t chunk) const noexcept {
  ChunkLocation location{0, 0};
  std::uint64_t shard_stride = 1;
  std::uint64_t slot_stride = 1;
  for (std::size_t axis = rank(); axis-- > 0;) {
    const std::uint64_t coordinate = chunk % chunks_[axis];
    chunk /= chunks_[axis];
    location.shard += coordinate / shard_chunks_[axis] * shard_stride;
    location.slot += coordinate % shard_chunks_[axis] * slot_stride;
    shard_stride *= shards_[axis];
    slot_stride *= shard_chunks_[axis];
  }
  return location;
}

Coordinates ChunkGrid::chunk_coordinates(std::uint64_t chunk) const { return unravel(chunk, chunks_); }

std::uint64_t ChunkGrid::chunk_number(const Coordinates& coordinates) const noexcept {
  std::uint64_t number = 0;
  for (std::size_t axis = 0; axis < rank(); ++axis) number = number * chunks_[axis] + coordinates[axis];
  return number;
}

std::string ChunkGrid::shard_key(std::uint64_t shard) const {
  const Coordinates coordinates = unravel(shard, shards_);
  if (key_encoding_.is_v2)
    return coordinates.empty() ? "0"
                               : fmt::format("{}", fmt::join(coordinates, std::string(1, key_encoding_.separator)));
  std::string key = "c";
  for (const std::uint64_t coordinate : coordinates) {
    key += key_encoding_.separator;
    key += std::to_string(coordinate);
  }
  return key;
}

}  // namespace hox::zarr
