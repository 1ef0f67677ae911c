#include "homeobox/ragged/sparse_group.h"

#include "homeobox/base/error.h"

namespace hox::ragged {
namespace {

std::vector<std::uint32_t> read_feature_order(const std::shared_ptr<const Store>& store, const std::string& path) {
  // Asking for the metadata first tells an absent order from a broken one.
  if (!store->size(path + "/zarr.json")) return {};
  const auto array = zarr::Array::open(store, path);
  const zarr::ArrayMetadata& metadata = array->metadata();
  if (metadata.shape.size() != 1 || metadata.dtype != DataType::kUint32)
    fail<CorruptData>("array {}: one dimension of uint32 expected", path);
  std::vector<std::uint32_t> order(metadata.shape[0]);
  const std::uint64_t begin = 0;
  const std::uint64_t end = order.size();
  array->read({&begin, 1}, {&end, 1}, std::as_writable_bytes(std::span(order)));
  return order;
}

}  // namespace

SparseGroup::SparseGroup(std::shared_ptr<const Store> store, std::string group, std::string_view indices_path,
                         std::string_view feature_order_path)
    : store_(std::move(store)),
      group_(std::move(group)),
      indices_(zarr::Array::open(store_, fmt::format("{}/{}", group_, indices_path))),
      feature_order_(read_feature_order(store_, fmt::format("{}/{}", group_, feature_order_path))) {}

std::shared_ptr<const zarr::Array> SparseGroup::layer(std::string_view path) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = layers_.find(path); found != layers_.end()) return found->second;
  }
  // Opened without the lock: it may wait for a bucket. Of two that open the same layer the first is kept.
  auto array = zarr::Array::open(store_, fmt::format("{}/{}", group_, path));
  const std::lock_guard lock(mutex_);
  return layers_.try_emplace(std::string(path), std::move(array)).first->second;
}

GatherGroup SparseGroup::prepare(std::string_view layer_path, std::span<const std::int32_t> local_to_joined,
                                 std::int64_t n_columns) const {
  return {indices_, layer(layer_path), std::make_shared<ColumnMap>(feature_order_, local_to_joined, n_columns)};
}

}  // namespace hox::ragged
