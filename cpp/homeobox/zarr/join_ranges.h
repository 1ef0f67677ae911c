// Joining of byte ranges: fewer, larger requests where the bytes between cost less than a request.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "homeobox/io/store.h"

namespace hox::zarr {

// A request takes some 30 ms from a bucket at some 50 MB/s per connection, but several run at once and the bytes
// between are paid by all; 128 KiB (2.6 ms of transfer) keeps the waste small and joins neighbours in a shard.
inline constexpr std::uint64_t kDefaultGapBytes = 128 * 1024;

// One request is one buffer and one connection: beyond this size several share the bytes better, and memory comes back
// sooner.
inline constexpr std::uint64_t kMaxRequestBytes = std::uint64_t{16} << 20;

struct JoinedRanges {
  std::vector<ByteRange> requests;
  // For each input range, the request that holds it.
  std::vector<std::size_t> request_of;
};

// `ranges` in ascending order of begin. Two neighbours share a request when at most `gap_bytes` lie between them and
// the request stays within `max_request_bytes`. A range is never cut.
JoinedRanges join_ranges(std::span<const ByteRange> ranges, std::uint64_t gap_bytes = kDefaultGapBytes,
                         std::uint64_t max_request_bytes = kMaxRequestBytes);

}  // namespace hox::zarr
