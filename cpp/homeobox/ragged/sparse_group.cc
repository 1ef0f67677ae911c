#include "homeobox/ragged/sparse_group.h"

#include <limits>

#include "homeobox/base/error.h"

namespace hox::ragged {
namespace {

// Positions in a layout are 32-bit, so a longer order cannot be one.
constexpr std::uint64_t kMaxFeatures = std::numeric_limits<std::int32_t>::max();

std::vector<std::uint32_t> read_feature_order(const zarr::Group& group, std::string_view path) {
  // Asking whether it is there first tells an absent order from a broken one.
  if (!group.has_node(path)) return {};
  const auto array = group.open_array(path);
  const zarr::ArrayMetadata& metadata = array->metadata();
  if (metadata.shape.size() != 1 || metadata.dtype != DataType::kUint32 || metadata.shape[0] > kMaxFeatures)
    fail<CorruptData>("array {}: one dimension of up to {} uint32 expected", array->path(), kMaxFeatures);
  std::vector<std::uint32_t> order(metadata.shape[0]);
  const std::uint64_t begin = 0;
  const std::uint64_t end = order.size();
  array->read({&begin, 1}, {&end, 1}, std::as_writable_bytes(std::span(order)));
  return order;
}

}  // namespace

SparseGroup::SparseGroup(std::shared_ptr<const Store> store, std::string path, std::string_view indices_path,
                         std::string_view feature_order_path)
    : group_(zarr::Group::open(std::move(store), std::move(path))),
      indices_(group_->open_array(indices_path)),
      feature_order_(read_feature_order(*group_, feature_order_path)) {}

std::shared_ptr<const zarr::Array> SparseGroup::layer(std::string_view path) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = layers_.find(path); found != layers_.end()) return found->second;
  }
  // Opened without the lock: it may wait for a bucket. Of two that open the same layer the first is kept.
  auto array = group_->open_array(path);
  const std::lock_guard lock(mutex_);
  return layers_.try_emplace(std::string(path), std::move(array)).first->second;
}

GatherGroup SparseGroup::prepare(std::string_view layer_path, std::span<const std::int32_t> local_to_joined,
                                 std::int64_t n_columns) const {
  return {indices_, layer(layer_path), std::make_shared<ColumnMap>(feature_order_, local_to_joined, n_columns)};
}

}  // namespace hox::ragged
