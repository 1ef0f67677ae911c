// Keys of stored objects: what every store accepts, and the checks that all of them share.
//
// A key is one or more non-empty components joined by "/". "." and ".." are no components, and there is no NUL, so a
// key can be a path below a directory without leaving it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "homeobox/io/store.h"

namespace hox {

// Throws InvalidArgument, saying what is wrong with the key.
void check_key(std::string_view key);

// The same for a prefix of keys, which may be empty and may end inside a component or with "/".
void check_key_prefix(std::string_view prefix);

// Throws StoreError unless each range lies in an object of `object_bytes` bytes; InvalidArgument for begin > end.
// Returns the bytes of all ranges together.
std::uint64_t check_ranges(const Store& store, std::string_view key, std::span<const ByteRange> ranges,
                           std::uint64_t object_bytes);

}  // namespace hox
