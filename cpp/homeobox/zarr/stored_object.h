// StoredObject: what was written under one key, for manifests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "homeobox/io/store.h"

namespace hox::zarr {

struct StoredObject {
  std::string key;
  std::uint64_t n_bytes;
  std::uint32_t crc32c;

  friend bool operator==(const StoredObject&, const StoredObject&) = default;
};

// Describes `bytes` under `key`, without writing them.
StoredObject describe_object(std::string key, std::span<const std::byte> bytes);

// Replaces the object and describes it.
StoredObject write_object(Store& store, std::string key, std::span<const std::byte> bytes);

}  // namespace hox::zarr
