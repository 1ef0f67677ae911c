#include "homeobox/zarr/join_ranges.h"

#include <algorithm>

namespace hox::zarr {

JoinedRanges join_ranges(std::span<const ByteRange> ranges, std::uint64_t gap_bytes) {
  JoinedRanges joined;
  joined.request_of.reserve(ranges.size());
  for (const ByteRange& range : ranges) {
    ByteRange* last = joined.requests.empty() ? nullptr : &joined.requests.back();
    if (last != nullptr && (range.begin <= last->end || range.begin - last->end <= gap_bytes))
      last->end = std::max(last->end, range.end);
    else
      joined.requests.push_back(range);
    joined.request_of.push_back(joined.requests.size() - 1);
  }
  return joined;
}

}  // namespace hox::zarr
