// CountingStore: counts the requests and bytes that pass to another store, for tests of I/O cost.
//
// A request is what a bucket would bill: each range of read_ranges is one. It gives no views, so that every byte is
// asked for. Safe to use from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "homeobox/io/forwarding_store.h"

namespace hox {

class CountingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  std::uint64_t requests() const noexcept { return requests_.load(); }
  std::uint64_t bytes_read() const noexcept { return bytes_read_.load(); }
  std::uint64_t bytes_written() const noexcept { return bytes_written_.load(); }
  void reset() noexcept;

  std::optional<Buffer> read(std::string_view key, const ReadOptions& options = {}) const override;
  std::optional<std::vector<Buffer>> read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                 const ReadOptions& options = {}) const override;
  std::optional<Suffix> read_suffix(std::string_view key, std::uint64_t n_bytes,
                                    const ReadOptions& options = {}) const override;
  std::optional<Buffer> view(std::string_view key) const override { return Store::view(key); }
  std::optional<std::uint64_t> size(std::string_view key) const override;
  void write(std::string_view key, std::span<const std::byte> bytes) override;
  bool create(std::string_view key, std::span<const std::byte> bytes) override;
  void remove(std::string_view key) override;
  std::vector<ObjectInfo> list(std::string_view prefix) const override;

 private:
  mutable std::atomic<std::uint64_t> requests_{0};
  mutable std::atomic<std::uint64_t> bytes_read_{0};
  std::atomic<std::uint64_t> bytes_written_{0};
};

}  // namespace hox
