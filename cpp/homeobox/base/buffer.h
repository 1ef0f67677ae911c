// Buffer: immutable bytes with shared ownership.
//
// A slice keeps the whole allocation (heap block, mapped file, Python object) alive. Copies are cheap. Immutable,
// so it may be shared between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace hox {

class Buffer {
 public:
  Buffer() = default;
  Buffer(std::shared_ptr<const void> owner, std::span<const std::byte> bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}

  static Buffer adopt(std::vector<std::byte> bytes) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    const std::span<const std::byte> view(*owner);
    return Buffer(std::move(owner), view);
  }
  static Buffer copy(std::span<const std::byte> bytes) {
    return adopt(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }

  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  const std::byte* data() const noexcept { return bytes_.data(); }
  std::uint64_t size() const noexcept { return bytes_.size(); }

  // Bytes [begin, end); the caller guarantees begin <= end <= size().
  Buffer slice(std::uint64_t begin, std::uint64_t end) const {
    return Buffer(owner_, bytes_.subspan(begin, end - begin));
  }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

}  // namespace hox
