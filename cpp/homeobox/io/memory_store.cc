#include "homeobox/io/memory_store.h"

#include <algorithm>
#include <utility>

#include "homeobox/base/interrupt.h"
#include "homeobox/io/key.h"

namespace hox {

std::optional<Buffer> MemoryStore::view(std::string_view key) const {
  check_key(key);
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return std::nullopt;
  return found->second;
}

std::optional<Buffer> MemoryStore::read(std::string_view key, const ReadOptions& options) const {
  check_stop(options.stop);
  return view(key);
}

std::optional<std::vector<Buffer>> MemoryStore::read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                            const ReadOptions& options) const {
  const std::optional<Buffer> object = read(key, options);
  if (!object) return std::nullopt;
  check_ranges(*this, key, ranges, object->size());
  std::vector<Buffer> slices;
  slices.reserve(ranges.size());
  for (const ByteRange& range : ranges) slices.push_back(object->slice(range.begin, range.end));
  return slices;
}

std::optional<Suffix> MemoryStore::read_suffix(std::string_view key, std::uint64_t n_bytes,
                                               const ReadOptions& options) const {
  const std::optional<Buffer> object = read(key, options);
  if (!object) return std::nullopt;
  const std::uint64_t bytes = object->size();
  return Suffix{object->slice(bytes - std::min(bytes, n_bytes), bytes), bytes};
}

std::optional<std::uint64_t> MemoryStore::size(std::string_view key) const {
  const std::optional<Buffer> object = view(key);
  if (!object) return std::nullopt;
  return object->size();
}

void MemoryStore::write(std::string_view key, std::span<const std::byte> bytes) {
  check_key(key);
  Buffer object = Buffer::copy(bytes);
  const std::lock_guard lock(mutex_);
  objects_.insert_or_assign(std::string(key), std::move(object));
}

bool MemoryStore::create(std::string_view key, std::span<const std::byte> bytes) {
  check_key(key);
  Buffer object = Buffer::copy(bytes);
  const std::lock_guard lock(mutex_);
  return objects_.try_emplace(std::string(key), std::move(object)).second;
}

void MemoryStore::remove(std::string_view key) {
  check_key(key);
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found != objects_.end()) objects_.erase(found);
}

std::vector<ObjectInfo> MemoryStore::list(std::string_view prefix) const {
  check_key_prefix(prefix);
  const std::lock_guard lock(mutex_);
  std::vector<ObjectInfo> found;
  for (auto object = objects_.lower_bound(prefix); object != objects_.end(); ++object) {
    if (!object->first.starts_with(prefix)) break;
    found.push_back({object->first, object->second.size()});
  }
  return found;
}

}  // namespace hox
