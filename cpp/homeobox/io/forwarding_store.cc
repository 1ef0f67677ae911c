#include "homeobox/io/forwarding_store.h"

#include <utility>

#include "homeobox/base/error.h"

namespace hox {

ForwardingStore::ForwardingStore(std::shared_ptr<Store> inner) : inner_(std::move(inner)) {
  if (inner_ == nullptr) throw InvalidArgument("a store to wrap expected, found none");
}

std::optional<Buffer> ForwardingStore::read(std::string_view key, const ReadOptions& options) const {
  return inner_->read(key, options);
}

std::optional<std::vector<Buffer>> ForwardingStore::read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                                const ReadOptions& options) const {
  return inner_->read_ranges(key, ranges, options);
}

std::optional<Suffix> ForwardingStore::read_suffix(std::string_view key, std::uint64_t n_bytes,
                                                   const ReadOptions& options) const {
  return inner_->read_suffix(key, n_bytes, options);
}

std::optional<Buffer> ForwardingStore::view(std::string_view key) const { return inner_->view(key); }

void ForwardingStore::check_views() const { inner_->check_views(); }

std::optional<std::uint64_t> ForwardingStore::size(std::string_view key) const { return inner_->size(key); }

void ForwardingStore::write(std::string_view key, std::span<const std::byte> bytes) { inner_->write(key, bytes); }

bool ForwardingStore::create(std::string_view key, std::span<const std::byte> bytes) {
  return inner_->create(key, bytes);
}

void ForwardingStore::remove(std::string_view key) { inner_->remove(key); }

std::vector<ObjectInfo> ForwardingStore::list(std::string_view prefix) const { return inner_->list(prefix); }

std::string ForwardingStore::describe() const { return inner_->describe(); }

}  // namespace hox
