// FileArray: the elements of an array that lie as plain bytes at known places of an open file, chunk by chunk.
//
// For files of others, such as HDF5 without compression. The file is read, not mapped: a map of a file that is cut
// short ends the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "homeobox/base/data_type.h"
#include "homeobox/io/file_system.h"

namespace hox {

class FileArray {
 public:
  struct Layout {
    std::string name;  // for messages
    DataType dtype;
    std::uint64_t n_elements;
    std::uint64_t chunk_elements;
    std::vector<std::uint64_t> offsets;  // of each chunk in the file, bytes
  };

  // Keeps a duplicate of `descriptor`. Throws InvalidArgument for a layout whose chunks do not hold its elements, and
  // StoreError where the descriptor cannot be duplicated.
  FileArray(int descriptor, std::shared_ptr<const Layout> layout);

  const Layout& layout() const noexcept { return *layout_; }

  // Elements [begin, begin + out.size() / element bytes). Throws InvalidArgument for elements outside the array and
  // where the file ends before, StoreError where reading fails. Safe from several threads.
  void read(std::uint64_t begin, std::span<std::byte> out) const;

  // Asks the kernel to have elements [begin, end) at hand soon.
  void prefetch(std::uint64_t begin, std::uint64_t end) const;

 private:
  bool is_cached(std::uint64_t offset) const;
  // Calls visit(offset in the file, bytes) for what lies together there.
  template <class Visit>
  void for_pieces(std::uint64_t begin, std::uint64_t end, Visit visit) const;

  file_system::File file_;
  std::shared_ptr<const Layout> layout_;
};

}  // namespace hox
