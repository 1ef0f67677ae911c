#include "homeobox/io/file_store.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/base/interrupt.h"
#include "homeobox/base/page_buffer.h"
#include "homeobox/io/file_system.h"
#include "homeobox/io/key.h"
#include "homeobox/io/mapped_file.h"

namespace hox {
namespace {

using file_system::OpenFile;

// Reads of this size get pages of their own. I/O threads have an allocator arena each, and sixteen that keep what was
// freed after a large read are a hundred megabytes that nobody uses.
constexpr std::uint64_t kPagedBytes = std::uint64_t{1} << 20;

// Memory for bytes that are about to be read, without filling it with zeros first.
struct Block {
  std::shared_ptr<void> owner;
  std::span<std::byte> bytes;

  explicit Block(std::uint64_t n_bytes) {
    if (n_bytes < kPagedBytes) {
      auto memory = std::make_shared_for_overwrite<std::byte[]>(n_bytes);
      bytes = {memory.get(), n_bytes};
      owner = std::move(memory);
    } else {
      auto memory = std::make_shared<PageBuffer>(n_bytes);
      bytes = {memory->data(), n_bytes};
      owner = std::move(memory);
    }
  }
  Buffer buffer() const { return Buffer(owner, bytes); }
};

std::uint64_t bytes_of(const struct stat& status) { return static_cast<std::uint64_t>(status.st_size); }

bool same_contents(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

bool is_temporary(std::string_view name) { return name.starts_with(file_system::kTemporaryPrefix); }

}  // namespace

// Mappings by path: the latest ones, owned, and all that someone still uses, watched for check().
class FileStore::Mappings {
 public:
  // The mapping of the file whose status is `status`, or nullptr.
  std::shared_ptr<const MappedFile> find(const std::string& path, const struct stat& status) {
    const std::lock_guard lock(mutex_);
    const auto found = by_path_.find(path);
    if (found == by_path_.end()) return nullptr;
    if (!same_contents(found->second->status, status) || found->second->file->broken()) {
      forget(found);
      return nullptr;
    }
    latest_.splice(latest_.begin(), latest_, found->second);
    return found->second->file;
  }

  void insert(const struct stat& status, const std::shared_ptr<const MappedFile>& file) {
    const std::lock_guard lock(mutex_);
    const auto known = by_path_.find(file->path());
    if (known != by_path_.end()) forget(known);
    latest_.push_front({status, file});
    by_path_[file->path()] = latest_.begin();
    if (latest_.size() > kMaxMappings) forget(by_path_.find(latest_.back().file->path()));
    if (watched_.size() >= next_prune_) {
      std::erase_if(watched_, [](const auto& watched) { return watched.expired(); });
      next_prune_ = std::max(2 * watched_.size(), kMaxMappings);
    }
    watched_.push_back(file);
  }

  void forget(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto found = by_path_.find(path);
    if (found != by_path_.end()) forget(found);
  }

  void check() {
    const std::size_t broken_mappings = MappedFile::broken_mappings();
    if (broken_mappings == 0) return;
    const std::lock_guard lock(mutex_);
    if (broken_mappings != seen_broken_mappings_) find_broken();
    seen_broken_mappings_ = broken_mappings;
    std::erase_if(broken_, [](const auto& file) { return file.expired(); });
    for (const std::weak_ptr<const MappedFile>& broken : broken_) {
      if (const std::shared_ptr<const MappedFile> file = broken.lock())
        fail<StoreError>("{}: {} bytes expected, the file was cut short while it was read; reopen what uses it",
                         file->path(), file->bytes().size());
    }
  }

 private:
  struct Entry {
    struct stat status;
    std::shared_ptr<const MappedFile> file;
  };
  using ByPath = std::unordered_map<std::string, std::list<Entry>::iterator>;

  void forget(ByPath::iterator found) {
    latest_.erase(found->second);
    by_path_.erase(found);
  }

  // Not kept among the latest: the error would outlive all who used the mapping.
  void find_broken() {
    std::erase_if(watched_, [&](const std::weak_ptr<const MappedFile>& watched) {
      const std::shared_ptr<const MappedFile> file = watched.lock();
      if (file == nullptr) return true;
      if (!file->broken()) return false;
      broken_.push_back(file);
      const auto known = by_path_.find(file->path());
      if (known != by_path_.end() && known->second->file == file) forget(known);
      return true;
    });
  }

  std::mutex mutex_;
  std::list<Entry> latest_;  // most recently used first
  ByPath by_path_;
  std::vector<std::weak_ptr<const MappedFile>> watched_;
  std::size_t next_prune_ = kMaxMappings;
  std::vector<std::weak_ptr<const MappedFile>> broken_;
  std::size_t seen_broken_mappings_ = 0;
};

FileStore::FileStore(const std::string& root) : mappings_(std::make_unique<Mappings>()) {
  if (root.empty() || root.find('\0') != std::string::npos)
    fail<InvalidArgument>("FileStore: the path of a directory expected, found \"{}\"", root);
  root_ = std::filesystem::absolute(root).lexically_normal().string();
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
}

FileStore::~FileStore() = default;

std::string FileStore::path_of(std::string_view key) const {
  check_key(key);
  const std::size_t temporary = key.find(file_system::kTemporaryPrefix);
  if (temporary != std::string_view::npos && (temporary == 0 || key[temporary - 1] == '/'))
    fail<InvalidArgument>("key \"{}\": names that start with \"{}\" are temporary files", key,
                          file_system::kTemporaryPrefix);
  std::string path;
  path.reserve(root_.size() + 1 + key.size());
  path.append(root_).append("/").append(key);
  return path;
}

std::optional<Buffer> FileStore::read(std::string_view key, const ReadOptions& options) const {
  check_stop(options.stop);
  const std::string path = path_of(key);
  const std::optional<OpenFile> open = file_system::open_to_read(path);
  if (!open) return std::nullopt;
  const Block block(bytes_of(open->status));
  file_system::read_exactly(*open, path, 0, block.bytes);
  return block.buffer();
}

std::optional<std::vector<Buffer>> FileStore::read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                          const ReadOptions& options) const {
  check_stop(options.stop);
  const std::string path = path_of(key);
  const std::optional<OpenFile> open = file_system::open_to_read(path);
  if (!open) return std::nullopt;
  const Block block(check_ranges(*this, key, ranges, bytes_of(open->status)));
  const Buffer whole = block.buffer();
  std::vector<Buffer> slices;
  slices.reserve(ranges.size());
  std::uint64_t used = 0;
  for (const ByteRange& range : ranges) {
    check_stop(options.stop);
    const std::uint64_t n_bytes = range.end - range.begin;
    file_system::read_exactly(*open, path, range.begin, block.bytes.subspan(used, n_bytes));
    slices.push_back(whole.slice(used, used + n_bytes));
    used += n_bytes;
  }
  return slices;
}

std::optional<Suffix> FileStore::read_suffix(std::string_view key, std::uint64_t n_bytes,
                                             const ReadOptions& options) const {
  check_stop(options.stop);
  const std::string path = path_of(key);
  const std::optional<OpenFile> open = file_system::open_to_read(path);
  if (!open) return std::nullopt;
  const std::uint64_t object_bytes = bytes_of(open->status);
  const Block block(std::min(n_bytes, object_bytes));
  file_system::read_exactly(*open, path, object_bytes - block.bytes.size(), block.bytes);
  return Suffix{block.buffer(), object_bytes};
}

std::optional<Buffer> FileStore::view(std::string_view key) const {
  const std::string path = path_of(key);
  const std::optional<struct stat> status = file_system::status_of(path);
  if (!status) {
    mappings_->forget(path);
    return std::nullopt;
  }
  std::shared_ptr<const MappedFile> file = mappings_->find(path, *status);
  if (file == nullptr) {
    const std::optional<OpenFile> open = file_system::open_to_read(path);
    if (!open) return std::nullopt;
    file = MappedFile::map(open->file.descriptor(), bytes_of(open->status), path);
    mappings_->insert(open->status, file);
  }
  const std::span<const std::byte> bytes = file->bytes();
  return Buffer(std::move(file), bytes);
}

void FileStore::check_views() const { mappings_->check(); }

std::optional<std::uint64_t> FileStore::size(std::string_view key) const {
  const std::optional<struct stat> status = file_system::status_of(path_of(key));
  if (!status) return std::nullopt;
  return bytes_of(*status);
}

void FileStore::write(std::string_view key, std::span<const std::byte> bytes) {
  const std::string path = path_of(key);
  file_system::replace(path, bytes);
  mappings_->forget(path);
}

bool FileStore::create(std::string_view key, std::span<const std::byte> bytes) {
  return file_system::create(path_of(key), bytes);
}

void FileStore::remove(std::string_view key) {
  const std::string path = path_of(key);
  file_system::remove_file(path);
  mappings_->forget(path);
}

namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// Adds the files below `directory` whose key starts with `prefix`. Files that vanish meanwhile are left out.
void list_directory(const std::string& root, const std::string& directory_key, std::string_view prefix,
                    std::vector<ObjectInfo>& found) {
  const std::string path = root + "/" + directory_key;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (directory == nullptr) {
    if (errno == ENOENT || errno == ENOTDIR) return;
    file_system::fail_on(path, "list", errno);
  }
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) file_system::fail_on(path, "list", errno);
      return;
    }
    const std::string_view name(entry->d_name);
    if (name == "." || name == ".." || is_temporary(name)) continue;
    std::string key = directory_key;
    key += name;
    const std::size_t shared = std::min(key.size(), prefix.size());
    if (std::string_view(key).substr(0, shared) != prefix.substr(0, shared)) continue;
    struct stat status = {};
    if (::fstatat(::dirfd(directory.get()), entry->d_name, &status, 0) != 0) {
      if (errno == ENOENT) continue;
      file_system::fail_on(path + std::string(name), "ask for the size", errno);
    }
    if (S_ISDIR(status.st_mode)) {
      list_directory(root, key + "/", prefix, found);
    } else if (S_ISREG(status.st_mode) && key.starts_with(prefix)) {
      found.push_back({std::move(key), bytes_of(status)});
    }
  }
}

}  // namespace

std::vector<ObjectInfo> FileStore::list(std::string_view prefix) const {
  check_key_prefix(prefix);
  std::vector<ObjectInfo> found;
  // The directory part of the prefix is where the search starts: other directories cannot match.
  list_directory(root_, std::string(prefix.substr(0, prefix.rfind('/') + 1)), prefix, found);
  std::ranges::sort(found, {}, &ObjectInfo::key);
  return found;
}

}  // namespace hox
