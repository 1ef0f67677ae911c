// RawBuffer: owned, uninitialised, 64-byte aligned memory that will be written before it is read.
//
// For results whose every byte a gather writes: std::vector would first fill them with zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace hox {

class RawBuffer {
 public:
  RawBuffer() = default;
  // Throws std::bad_alloc.
  explicit RawBuffer(std::uint64_t n_bytes) : size_(n_bytes) {
    constexpr std::uint64_t kAlignment = 64;
    const std::uint64_t padded = (n_bytes + kAlignment) / kAlignment * kAlignment;
    if (padded < n_bytes) throw std::bad_alloc();
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, padded)));
    if (data_ == nullptr) throw std::bad_alloc();
  }

  std::byte* data() noexcept { return data_.get(); }
  const std::byte* data() const noexcept { return data_.get(); }
  std::uint64_t size() const noexcept { return size_; }
  template <class T>
  T* as() noexcept {
    return reinterpret_cast<T*>(data_.get());
  }
  // Hands the memory to someone who frees it with std::free.
  std::byte* release() noexcept {
    size_ = 0;
    return data_.release();
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::uint64_t size_ = 0;
};

}  // namespace hox
