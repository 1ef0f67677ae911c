// The system calls that FileStore is made of, with errors as StoreError and interrupted calls repeated.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace hox::file_system {

// First component of the name of every temporary file.
inline constexpr const char* kTemporaryPrefix = ".hox-tmp-";

// An open file, closed on destruction.
class File {
 public:
  explicit File(int descriptor) noexcept : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&&) = delete;
  ~File();
  int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

// Throws StoreError "PATH: cannot ACTION: reason" for `error_number`; retryable when the cause may pass.
[[noreturn]] void fail_on(const std::string& path, const char* action, int error_number);

// A regular file for reading, and its status; nullopt if there is none (a directory is none).
struct OpenFile {
  File file;
  struct stat status;
};
std::optional<OpenFile> open_to_read(const std::string& path);

// Status of a regular file; nullopt if there is none.
std::optional<struct stat> status_of(const std::string& path);

// Fills `out` from `offset` as far as the file goes; returns how many bytes that are. `path` and `action` are as for
// fail_on().
std::size_t read_up_to(int descriptor, const std::string& path, std::uint64_t offset, std::span<std::byte> out,
                       const char* action = "read");

// Fills `out` from `offset`; a file that ends before is a StoreError.
void read_exactly(const OpenFile& open, const std::string& path, std::uint64_t offset, std::span<std::byte> out);

// Makes `path` hold `bytes`, durably. replace() takes the place of a file that is there; create() leaves it and
// returns false. Both make the missing directories.
void replace(const std::string& path, std::span<const std::byte> bytes);
bool create(const std::string& path, std::span<const std::byte> bytes);

// Removes a file; one that is missing, or a directory, is left alone. Takes along the temporary files beside it whose
// writer is dead: they are a day old.
void remove_file(const std::string& path);

}  // namespace hox::file_system
