// ObstoreStore: any store of Python's obstore (S3, GCS, Azure, HTTP, local, memory) as a Store.
//
// Requests go through ObstoreQueue. Retries and credentials are obstore's. Holds no Python object, only the number
// under which homeobox/_obstore_bridge.py keeps one, so it may be destroyed on any thread. Gives no views.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "homeobox/io/store.h"

namespace hox::bindings {

class ObstoreStore final : public Store {
 public:
  // Takes over the registration `store_id`.
  ObstoreStore(std::uint64_t store_id, std::string description)
      : store_id_(store_id), description_(std::move(description)) {}
  ~ObstoreStore() override;

  std::optional<Buffer> read(std::string_view key, const ReadOptions& options = {}) const override;
  std::optional<std::vector<Buffer>> read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                 const ReadOptions& options = {}) const override;
  std::optional<Suffix> read_suffix(std::string_view key, std::uint64_t n_bytes,
                                    const ReadOptions& options = {}) const override;
  std::optional<std::uint64_t> size(std::string_view key) const override;
  void write(std::string_view key, std::span<const std::byte> bytes) override;
  bool create(std::string_view key, std::span<const std::byte> bytes) override;
  void remove(std::string_view key) override;
  std::vector<ObjectInfo> list(std::string_view prefix) const override;
  std::string describe() const override { return description_; }

 private:
  std::optional<std::vector<Buffer>> fetch(std::string_view key, const std::vector<ByteRange>& ranges,
                                           const ReadOptions& options) const;

  std::uint64_t store_id_;
  std::string description_;
};

}  // namespace hox::bindings
