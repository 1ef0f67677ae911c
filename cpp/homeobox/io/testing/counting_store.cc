#include "homeobox/io/testing/counting_store.h"

namespace hox {

void CountingStore::reset() noexcept {
  requests_ = 0;
  bytes_read_ = 0;
  bytes_written_ = 0;
}

std::optional<Buffer> CountingStore::read(std::string_view key, const ReadOptions& options) const {
  ++requests_;
  auto object = inner().read(key, options);
  if (object) bytes_read_ += object->size();
  return object;
}

std::optional<std::vector<Buffer>> CountingStore::read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                              const ReadOptions& options) const {
  requests_ += ranges.size();
  auto slices = inner().read_ranges(key, ranges, options);
  if (slices) {
    for (const Buffer& slice : *slices) bytes_read_ += slice.size();
  }
  return slices;
}

std::optional<Suffix> CountingStore::read_suffix(std::string_view key, std::uint64_t n_bytes,
                                                 const ReadOptions& options) const {
  ++requests_;
  auto suffix = inner().read_suffix(key, n_bytes, options);
  if (suffix) bytes_read_ += suffix->bytes.size();
  return suffix;
}

std::optional<std::uint64_t> CountingStore::size(std::string_view key) const {
  ++requests_;
  return inner().size(key);
}

void CountingStore::write(std::string_view key, std::span<const std::byte> bytes) {
  ++requests_;
  inner().write(key, bytes);
  bytes_written_ += bytes.size();
}

bool CountingStore::create(std::string_view key, std::span<const std::byte> bytes) {
  ++requests_;
  const bool created = inner().create(key, bytes);
  if (created) bytes_written_ += bytes.size();
  return created;
}

void CountingStore::remove(std::string_view key) {
  ++requests_;
  inner().remove(key);
}

std::vector<ObjectInfo> CountingStore::list(std::string_view prefix) const {
  ++requests_;
  return inner().list(prefix);
}

}  // namespace hox
