#include "homeobox/zarr/stored_object.h"

#include <utility>

#include "homeobox/codec/kernels/crc32c.h"

namespace hox::zarr {

StoredObject describe_object(std::string key, std::span<const std::byte> bytes) {
  return {std::move(key), bytes.size(), codec::crc32c(bytes)};
}

StoredObject write_object(Store& store, std::string key, std::span<const std::byte> bytes) {
  store.write(key, bytes);
  return describe_object(std::move(key), bytes);
}

}  // namespace hox::zarr
