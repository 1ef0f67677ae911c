#include "homeobox/io/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <random>
#include <string_view>
#include <system_error>

#include "homeobox/base/error.h"

namespace hox::file_system {
namespace {

// Repeats a system call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

bool may_pass(int error_number) {
  switch (error_number) {
    case EAGAIN:
    case EBUSY:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ESTALE:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

bool means_missing(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

void flush_directory(const std::string& directory) {
  const int descriptor = uninterrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0) fail_on(directory, "open the directory", errno);
  const File file(descriptor);
  // Some network file systems do not flush directories and say EINVAL; their renames are durable as they are.
  if (uninterrupted([&] { return ::fsync(descriptor); }) != 0 && errno != EINVAL)
    fail_on(directory, "flush the directory", errno);
}

void make_directories(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0777) == 0) {
    flush_directory(directory_of(directory));
    return;
  }
  if (errno == EEXIST) return;
  if (errno != ENOENT || directory == "/") fail_on(directory, "make the directory", errno);
  make_directories(directory_of(directory));
  if (::mkdir(directory.c_str(), 0777) == 0) {
    flush_directory(directory_of(directory));
  } else if (errno != EEXIST) {
    fail_on(directory, "make the directory", errno);
  }
}

// Temporary files that nobody has written to for so long are of dead writers: a living one writes and moves its file
// in one go, and no clock of another machine is a day off.
constexpr std::time_t kAbandonedAfterS = 24 * 60 * 60;

// Removes the temporary files of dead writers in `directory`. Fails silently: it is nobody's request. Once for many
// calls in a row with one directory: who removes its files one by one should not list it each time.
void sweep(const std::string& directory) {
  static std::mutex mutex;
  static std::string& last = *new std::string;  // leaked: a store may live in a static object
  {
    const std::lock_guard lock(mutex);
    if (directory == last) return;
    last = directory;
  }
  DIR* const entries = ::opendir(directory.c_str());
  if (entries == nullptr) return;
  const std::time_t now = std::time(nullptr);
  const int descriptor = ::dirfd(entries);
  while (const dirent* entry = ::readdir(entries)) {
    struct stat status = {};
    if (std::string_view(entry->d_name).starts_with(kTemporaryPrefix) &&
        ::fstatat(descriptor, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
        now - status.st_mtim.tv_sec > kAbandonedAfterS)
      ::unlinkat(descriptor, entry->d_name, 0);
  }
  ::closedir(entries);
}

// A flushed file of its own name beside `path`; removed on destruction unless it was moved away.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& path, std::span<const std::byte> bytes) : path_(unique_name(path)) {
    const File file(open_new(directory_of(path)));
    try {
      write_all(file.descriptor(), bytes);
      if (uninterrupted([&] { return ::fsync(file.descriptor()); }) != 0) fail_on(path_, "flush", errno);
    } catch (...) {
      ::unlink(path_.c_str());
      throw;
    }
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!moved_) ::unlink(path_.c_str());
  }

  const std::string& path() const { return path_; }
  void set_moved() { moved_ = true; }

 private:
  // Random, because processes of several machines may share the directory.
  static std::string unique_name(const std::string& path) {
    static std::atomic<std::uint64_t> counter{0};
    std::random_device random;
    return fmt::format("{}/{}{:08x}{:08x}-{}", directory_of(path), kTemporaryPrefix, random(), random(),
                       counter.fetch_add(1));
  }

  int open_new(const std::string& directory) {
    const auto open = [this] {
      return uninterrupted([&] { return ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
    };
    int descriptor = open();
    if (descriptor < 0 && errno == ENOENT) {
      make_directories(directory);
      descriptor = open();
    }
    if (descriptor < 0) fail_on(path_, "make a file", errno);
    return descriptor;
  }

  void write_all(int descriptor, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = uninterrupted([&] { return ::write(descriptor, bytes.data(), bytes.size()); });
      if (written < 0) fail_on(path_, "write", errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  std::string path_;
  bool moved_ = false;
};

}  // namespace

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0) {
    sweep(directory_of(path));
  } else if (errno != ENOENT && errno != ENOTDIR && errno != EISDIR) {
    fail_on(path, "remove", errno);
  }
}

File::~File() {
  // Linux closes the descriptor even when it says EINTR.
  if (descriptor_ >= 0) ::close(descriptor_);
}

void fail_on(const std::string& path, const char* action, int error_number) {
  throw StoreError(fmt::format("{}: cannot {}: {}", path, action, std::generic_category().message(error_number)),
                   may_pass(error_number));
}

std::optional<OpenFile> open_to_read(const std::string& path) {
  const int descriptor = uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (descriptor < 0) {
    if (means_missing(errno)) return std::nullopt;
    fail_on(path, "open", errno);
  }
  OpenFile opened{File(descriptor), {}};
  if (::fstat(descriptor, &opened.status) != 0) fail_on(path, "ask for the size", errno);
  if (!S_ISREG(opened.status.st_mode)) return std::nullopt;
  return opened;
}

std::optional<struct stat> status_of(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    if (means_missing(errno)) return std::nullopt;
    fail_on(path, "ask for the size", errno);
  }
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  return status;
}

std::size_t read_up_to(int descriptor, const std::string& path, std::uint64_t offset, std::span<std::byte> out,
                       const char* action) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = uninterrupted(
        [&] { return ::pread(descriptor, out.data() + done, out.size() - done, static_cast<off_t>(offset + done)); });
    if (n < 0) fail_on(path, action, errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

void read_exactly(const OpenFile& open, const std::string& path, std::uint64_t offset, std::span<std::byte> out) {
  const std::size_t done = read_up_to(open.file.descriptor(), path, offset, out);
  if (done < out.size())
    fail<StoreError>("{}: {} more bytes expected at {}, the file was cut short", path, out.size() - done,
                     offset + done);
}

void replace(const std::string& path, std::span<const std::byte> bytes) {
  TemporaryFile temporary(path, bytes);
  if (::rename(temporary.path().c_str(), path.c_str()) != 0) fail_on(path, "put a file in place", errno);
  temporary.set_moved();
  flush_directory(directory_of(path));
}

bool create(const std::string& path, std::span<const std::byte> bytes) {
  if (status_of(path)) return false;  // saves the temporary file in the common case; link() decides
  TemporaryFile temporary(path, bytes);
  if (::link(temporary.path().c_str(), path.c_str()) != 0) {
    if (errno == EEXIST) return false;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK && errno != ENOSYS)
      fail_on(path, "put a file in place", errno);
    // A file system without hard links, such as FAT or some FUSE mounts.
    if (::syscall(SYS_renameat2, AT_FDCWD, temporary.path().c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0) {
      if (errno == EEXIST) return false;
      fail_on(path, "put a new file in place", errno);
    }
    temporary.set_moved();
  }
  flush_directory(directory_of(path));
  return true;
}

}  // namespace hox::file_system
