// MemoryStore: objects in this process's memory, for tests and for data that is made and used at once.
//
// Reads hand out the stored block itself; it lives on after remove() and overwrite. One lock guards the map.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "homeobox/io/store.h"

namespace hox {

class MemoryStore final : public Store {
 public:
  std::optional<Buffer> read(std::string_view key, const ReadOptions& options = {}) const override;
  std::optional<std::vector<Buffer>> read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                 const ReadOptions& options = {}) const override;
  std::optional<Suffix> read_suffix(std::string_view key, std::uint64_t n_bytes,
                                    const ReadOptions& options = {}) const override;
  std::optional<Buffer> view(std::string_view key) const override;
  std::optional<std::uint64_t> size(std::string_view key) const override;
  void write(std::string_view key, std::span<const std::byte> bytes) override;
  bool create(std::string_view key, std::span<const std::byte> bytes) override;
  void remove(std::string_view key) override;
  std::vector<ObjectInfo> list(std::string_view prefix) const override;
  std::string describe() const override { return "memory://"; }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Buffer, std::less<>> objects_;
};

}  // namespace hox
