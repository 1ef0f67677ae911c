// EntryArray: one array of the entries of a matrix, in memory or still in a file.
//
// Whoever works on a piece of a file reads it then, into scratch memory of its own: the copy stays in the cache of the
// core that needs it, and all cores read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "homeobox/base/data_type.h"
#include "homeobox/base/raw_buffer.h"
#include "homeobox/io/file_array.h"

namespace hox::ragged {

// A view; what it points to outlives it.
class EntryArray {
 public:
  // So many elements are read from a file at once: two such arrays of 8 bytes stay in a cache of the second level.
  static constexpr std::size_t kPieceElements = std::size_t{1} << 15;

  EntryArray(DataType dtype, const std::byte* elements) noexcept : dtype_(dtype), elements_(elements) {}
  explicit EntryArray(const FileArray& file) noexcept : dtype_(file.layout().dtype), file_(&file) {}

  DataType dtype() const noexcept { return dtype_; }
  std::size_t element_bytes() const noexcept { return hox::element_bytes(dtype_); }

  // Elements [begin, end), valid until `scratch` is used again. Errors as FileArray::read().
  const std::byte* read(std::uint64_t begin, std::uint64_t end, RawBuffer& scratch) const {
    if (file_ == nullptr) return elements_ + begin * element_bytes();
    const std::size_t n_bytes = (end - begin) * element_bytes();
    if (scratch.size() < n_bytes) scratch = RawBuffer(n_bytes);
    file_->read(begin, {scratch.data(), n_bytes});
    return scratch.data();
  }

 private:
  DataType dtype_;
  const std::byte* elements_ = nullptr;
  const FileArray* file_ = nullptr;
};

}  // namespace hox::ragged
