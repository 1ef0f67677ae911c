// SparseGroup: the flat arrays of one dataset in CSR form, as FORMAT.md lays them out below <group>/.
//
// Opens csr/indices at once, csr/feature_order when there is one, and each layer when it is first asked for. Safe to
// share between threads. All are held against the group's manifest. Fails with NotFound (no such group or layer),
// CorruptData, and Unsupported (written by a newer version).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "homeobox/ragged/gather.h"
#include "homeobox/zarr/group.h"

namespace hox::ragged {

class SparseGroup {
 public:
  // Array paths are relative to `path`. `feature_order_path` may name an array that is not there.
  SparseGroup(std::shared_ptr<const Store> store, std::string path, std::string_view indices_path = "csr/indices",
              std::string_view feature_order_path = "csr/feature_order");

  const std::string& path() const noexcept { return group_->path(); }
  const zarr::Array& indices() const noexcept { return *indices_; }
  // `path` is relative to the group: "csr/layers/counts".
  std::shared_ptr<const zarr::Array> layer(std::string_view path) const;
  // Local feature of each stored one; empty when they are the same.
  const std::vector<std::uint32_t>& feature_order() const noexcept { return feature_order_; }

  // What gather_csr needs to read `layer` into `n_columns` columns.
  GatherGroup prepare(std::string_view layer, std::span<const std::int32_t> local_to_joined,
                      std::int64_t n_columns) const;

 private:
  std::shared_ptr<const zarr::Group> group_;
  std::shared_ptr<const zarr::Array> indices_;
  std::vector<std::uint32_t> feature_order_;
  mutable std::mutex mutex_;  // guards layers_
  mutable std::map<std::string, std::shared_ptr<const zarr::Array>, std::less<>> layers_;
};

}  // namespace hox::ragged
