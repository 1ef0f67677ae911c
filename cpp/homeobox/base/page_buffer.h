// PageBuffer: owned, uninitialised memory straight from the system, to which it goes back when the buffer goes.
//
// For large buffers that come and go while others stay: an allocator keeps what is freed between them, so a stated
// bound would not hold. Costs a system call and a fault per page; for small or long-lived memory take RawBuffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace hox {

class PageBuffer {
 public:
  PageBuffer() = default;
  // Throws std::bad_alloc.
  explicit PageBuffer(std::uint64_t n_bytes);
  PageBuffer(PageBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PageBuffer& operator=(PageBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    other.reset();  // now, since what it held may be most of the memory
    return *this;
  }
  ~PageBuffer() { reset(); }

  std::byte* data() noexcept { return data_; }
  const std::byte* data() const noexcept { return data_; }
  std::uint64_t size() const noexcept { return size_; }
  template <class T>
  T* as() noexcept {
    return reinterpret_cast<T*>(data_);
  }
  // Gives the memory back.
  void reset() noexcept;

 private:
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace hox
