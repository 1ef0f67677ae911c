#include "homeobox/base/page_buffer.h"

#include <sys/mman.h>

#include <new>

namespace hox {

PageBuffer::PageBuffer(std::uint64_t n_bytes) {
  if (n_bytes == 0) return;
  void* const memory = ::mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(memory);
  size_ = n_bytes;
}

void PageBuffer::reset() noexcept {
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace hox
