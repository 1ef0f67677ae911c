// InterceptingStore: calls one function before each request passes to another store. Base of the test doubles that
// fail or delay. It gives no views, so that every byte is asked for.
#pragma once

#include "homeobox/io/forwarding_store.h"

namespace hox {

class InterceptingStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  std::optional<Buffer> read(std::string_view key, const ReadOptions& options = {}) const override {
    before_request("read", key, options.stop);
    return inner().read(key, options);
  }
  std::optional<std::vector<Buffer>> read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                 const ReadOptions& options = {}) const override {
    before_request("read_ranges", key, options.stop);
    return inner().read_ranges(key, ranges, options);
  }
  std::optional<Suffix> read_suffix(std::string_view key, std::uint64_t n_bytes,
                                    const ReadOptions& options = {}) const override {
    before_request("read_suffix", key, options.stop);
    return inner().read_suffix(key, n_bytes, options);
  }
  std::optional<Buffer> view(std::string_view key) const override { return Store::view(key); }
  std::optional<std::uint64_t> size(std::string_view key) const override {
    before_request("size", key, {});
    return inner().size(key);
  }
  void write(std::string_view key, std::span<const std::byte> bytes) override {
    before_request("write", key, {});
    inner().write(key, bytes);
  }
  bool create(std::string_view key, std::span<const std::byte> bytes) override {
    before_request("create", key, {});
    return inner().create(key, bytes);
  }
  void remove(std::string_view key) override {
    before_request("remove", key, {});
    inner().remove(key);
  }
  std::vector<ObjectInfo> list(std::string_view prefix) const override {
    before_request("list", prefix, {});
    return inner().list(prefix);
  }

 private:
  // Called from any thread.
  virtual void before_request(const char* operation, std::string_view key, const std::stop_token& stop) const = 0;
};

}  // namespace hox
