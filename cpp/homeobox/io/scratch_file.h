// ScratchFile: bytes that have no room in memory, in a file without a name.
//
// Nobody else sees it and its space is free again when the object goes or the process dies, however that happens.
// append() is for one thread at a time; read() may run on many threads, also meanwhile. Fails with StoreError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "homeobox/io/file_system.h"

namespace hox {

class ScratchFile {
 public:
  // Takes its space from the file system of `directory`, which must exist.
  explicit ScratchFile(std::string directory);

  // Where the bytes lie from now on.
  std::uint64_t append(std::span<const std::byte> bytes);
  // Fills `out` from `offset`; the caller stays within what was appended.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

  std::uint64_t size() const noexcept { return size_; }

 private:
  std::string directory_;
  file_system::File file_;
  std::uint64_t size_ = 0;
};

}  // namespace hox
