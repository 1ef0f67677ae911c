#include "homeobox/zarr/join_ranges.h"

#include <algorithm>

namespace hox::zarr {

JoinedRanges join_ranges(std::span<const ByteRange> ranges, std::uint64_t gap_bytes, std::uint64_t max_request_bytes) {
  JoinedRanges joined;
  joined.request_of.reserve(ranges.size());
  for (const ByteRange& range : ranges) {
    ByteRange* last = joined.requests.empty() ? nullptr : &joined.requests.back();
    const bool inside = last != nullptr && range.end <= last->end;
    const bool near = last != nullptr && (range.begin <= last->end || range.begin - last->end <= gap_bytes) &&
                      range.end - last->begin <= max_request_bytes;
    if (inside || near)
      last->end = std::max(last->end, range.end);
    else
      joined.requests.push_back(range);
    joined.request_of.push_back(joined.requests.size() - 1);
  }
  return joined;
}

}  // namespace hox::zarr
