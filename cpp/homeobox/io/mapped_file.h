// MappedFile: a file as read-only memory, which survives that another process cuts the file short.
//
// Touching a page behind the end of a mapped file raises SIGBUS. A handler, put in front at each map(),
// answers for our mappings only: the page becomes zeros and the mapping is marked broken. Who used the bytes asks
// broken() afterwards and throws them away. Faults elsewhere go to the handler that was there before.
//
// Immutable, so it may be shared between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace hox {

class MappedFile {
 public:
  // Maps the `file_bytes` bytes of an open file. Throws StoreError naming `path`.
  static std::shared_ptr<const MappedFile> map(int file_descriptor, std::size_t file_bytes, const std::string& path);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  const std::string& path() const noexcept { return path_; }

  // Whether some byte that was read since map() was not the file's.
  bool broken() const noexcept;

  // How many mappings of this process ever broke. While it stays the same, no broken() has changed.
  static std::size_t broken_mappings() noexcept;

 private:
  struct Slot;
  MappedFile(std::span<const std::byte> bytes, std::string path, Slot* slot)
      : bytes_(bytes), path_(std::move(path)), slot_(slot) {}

  friend struct MappingTable;

  std::span<const std::byte> bytes_;
  std::string path_;
  Slot* slot_;  // nullptr for an empty file, which has no mapping
};

// MappingQuota: a share of the mappings that this process may have, of which the kernel allows 65,530 by default.
//
// Who maps the objects of an array takes as many as there are, before the first; where they are not left, the array is
// read instead. Half of them are left to everybody else.
class MappingQuota {
 public:
  static constexpr std::size_t kMappings = 32'768;

  // nullopt when `n` are not left. Thread-safe.
  static std::optional<MappingQuota> take(std::uint64_t n) noexcept;

  MappingQuota(MappingQuota&& other) noexcept : n_(std::exchange(other.n_, 0)) {}
  MappingQuota& operator=(MappingQuota&&) = delete;
  ~MappingQuota();

 private:
  explicit MappingQuota(std::size_t n) noexcept : n_(n) {}
  std::size_t n_;
};

}  // namespace hox
