#include "homeobox/io/scratch_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "homeobox/base/error.h"

namespace hox {
namespace {

int open_unnamed(const std::string& directory) {
  const int descriptor = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor >= 0) return descriptor;
  // File systems without unnamed files, such as NFS: a file that loses its name at once. EISDIR is what kernels say
  // that do not know the flag.
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    file_system::fail_on(directory, "make a scratch file", errno);
  std::string path = directory + "/" + file_system::kTemporaryPrefix + "XXXXXX";
  const int named = ::mkostemp(path.data(), O_CLOEXEC);
  if (named < 0) file_system::fail_on(directory, "make a scratch file", errno);
  ::unlink(path.c_str());
  return named;
}

}  // namespace

ScratchFile::ScratchFile(std::string directory) : directory_(std::move(directory)), file_(open_unnamed(directory_)) {}

std::uint64_t ScratchFile::append(std::span<const std::byte> bytes) {
  const std::uint64_t begin = size_;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file_.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (n < 0) {
      if (errno == EINTR) continue;
      file_system::fail_on(directory_, "write to a scratch file", errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    size_ += static_cast<std::uint64_t>(n);
  }
  return begin;
}

void ScratchFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  const std::size_t done =
      file_system::read_up_to(file_.descriptor(), directory_, offset, out, "read from a scratch file");
  if (done < out.size())
    fail<StoreError>("{}: a scratch file ends at {}, {} more bytes expected", directory_, offset + done,
                     out.size() - done);
}

}  // namespace hox
