#include "homeobox/io/key.h"

#include "homeobox/base/error.h"

namespace hox {
namespace {

void check_components(std::string_view whole, std::string_view components) {
  if (whole.find('\0') != std::string_view::npos)
    fail<InvalidArgument>("key of {} bytes: holds a NUL byte", whole.size());
  for (;;) {
    const std::size_t slash = components.find('/');
    const std::string_view component = components.substr(0, slash);
    if (component.empty()) fail<InvalidArgument>("key \"{}\": no leading, trailing or double \"/\" expected", whole);
    if (component == "." || component == "..")
      fail<InvalidArgument>("key \"{}\": names expected between \"/\", found \"{}\"", whole, component);
    if (slash == std::string_view::npos) return;
    components.remove_prefix(slash + 1);
  }
}

}  // namespace

void check_key(std::string_view key) { check_components(key, key); }

void check_key_prefix(std::string_view prefix) {
  const std::size_t slash = prefix.rfind('/');
  if (slash != std::string_view::npos) {
    check_components(prefix, prefix.substr(0, slash));
  } else if (prefix.find('\0') != std::string_view::npos) {
    fail<InvalidArgument>("prefix of {} bytes: holds a NUL byte", prefix.size());
  }
}

std::uint64_t check_ranges(const Store& store, std::string_view key, std::span<const ByteRange> ranges,
                           std::uint64_t object_bytes) {
  std::uint64_t total = 0;
  for (const ByteRange& range : ranges) {
    if (range.begin > range.end)
      fail<InvalidArgument>("{}, key \"{}\": byte range with begin <= end expected, found [{}, {})", store.describe(),
                            key, range.begin, range.end);
    if (range.end > object_bytes)
      fail<StoreError>("{}, key \"{}\": bytes [{}, {}) asked for, the object has {}", store.describe(), key,
                       range.begin, range.end, object_bytes);
    const std::uint64_t bytes = range.end - range.begin;
    // Ranges may overlap, so their sum is not bounded by the object.
    if (__builtin_add_overflow(total, bytes, &total))
      fail<InvalidArgument>("{}, key \"{}\": ranges of more than 2^64 bytes together", store.describe(), key);
  }
  return total;
}

}  // namespace hox
