// Checks that all stores share, so that they accept and refuse the same (see also check_key in store.h).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "homeobox/io/store.h"

namespace hox {

// check_key for a prefix of keys, which may be empty and may end inside a name or with "/".
void check_key_prefix(std::string_view prefix);

// Throws StoreError unless each range lies in an object of `object_bytes` bytes; InvalidArgument for begin > end.
// Returns the bytes of all ranges together.
std::uint64_t check_ranges(const Store& store, std::string_view key, std::span<const ByteRange> ranges,
                           std::uint64_t object_bytes);

}  // namespace hox
