// ForwardingStore: passes every call to another store. Wrappers derive from it and override what they change.
#pragma once

#include <memory>
#include <string>

#include "homeobox/io/store.h"

namespace hox {

class ForwardingStore : public Store {
 public:
  // Throws InvalidArgument when `inner` is null.
  explicit ForwardingStore(std::shared_ptr<Store> inner);

  std::optional<Buffer> read(std::string_view key, const ReadOptions& options = {}) const override;
  std::optional<std::vector<Buffer>> read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                 const ReadOptions& options = {}) const override;
  std::optional<Suffix> read_suffix(std::string_view key, std::uint64_t n_bytes,
                                    const ReadOptions& options = {}) const override;
  std::optional<Buffer> view(std::string_view key) const override;
  void check_views() const override;
  std::optional<std::uint64_t> size(std::string_view key) const override;
  void write(std::string_view key, std::span<const std::byte> bytes) override;
  bool create(std::string_view key, std::span<const std::byte> bytes) override;
  void remove(std::string_view key) override;
  std::vector<ObjectInfo> list(std::string_view prefix) const override;
  std::string describe() const override;

 protected:
  Store& inner() const noexcept { return *inner_; }

 private:
  std::shared_ptr<Store> inner_;
};

}  // namespace hox
