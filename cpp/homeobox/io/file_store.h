// FileStore: objects as files below one directory of a local or mounted file system.
//
// A key is a path below the root; directories are made as needed and never removed. write() and create() make a
// temporary file (".hox-tmp-...", never listed) beside the object, flush it and put it in place by one rename or
// link, then flush the directory: after a crash an object is whole or absent. What a writer that died left behind goes
// with the next remove() beside it, when it is a day old.
//
// view() maps files and keeps the last kMaxMappings mappings; it costs one stat() when the mapping is there. Bytes
// that another process changes in place, without a new inode, size or time stamp, may be seen either way.
//
// Safe to use from any thread; one lock guards the mappings. Several processes may share a directory. Fails with
// StoreError naming the path; full disks and missing rights are not retryable.
#pragma once

#include <memory>
#include <string>

#include "homeobox/io/store.h"

namespace hox {

class FileStore final : public Store {
 public:
  static constexpr std::size_t kMaxMappings = 1024;

  // `root` may be relative and need not exist: the first write makes it.
  explicit FileStore(const std::string& root);
  ~FileStore() override;

  std::optional<Buffer> read(std::string_view key, const ReadOptions& options = {}) const override;
  std::optional<std::vector<Buffer>> read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                 const ReadOptions& options = {}) const override;
  std::optional<Suffix> read_suffix(std::string_view key, std::uint64_t n_bytes,
                                    const ReadOptions& options = {}) const override;
  std::optional<Buffer> view(std::string_view key) const override;
  void check_views() const override;
  std::optional<std::uint64_t> size(std::string_view key) const override;
  void write(std::string_view key, std::span<const std::byte> bytes) override;
  bool create(std::string_view key, std::span<const std::byte> bytes) override;
  void remove(std::string_view key) override;
  std::vector<ObjectInfo> list(std::string_view prefix) const override;
  std::string describe() const override { return "file://" + root_; }

  // The absolute path of the directory.
  const std::string& root() const noexcept { return root_; }

 private:
  class Mappings;

  std::string path_of(std::string_view key) const;

  std::string root_;
  std::unique_ptr<Mappings> mappings_;
};

}  // namespace hox
