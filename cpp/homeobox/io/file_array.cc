#include "homeobox/io/file_array.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "homeobox/base/error.h"

namespace hox {
namespace {

int duplicate(int descriptor, const std::string& name) {
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) file_system::fail_on(name, "duplicate the descriptor", errno);
  return copy;
}

// Past this no file can reach, and sums of offset and size stay within an off_t.
constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::int64_t>::max() / 2;

void check(const FileArray::Layout& layout) {
  const std::uint64_t bytes = element_bytes(layout.dtype);
  if (layout.chunk_elements == 0 || layout.chunk_elements > kMaxOffset / bytes)
    fail<InvalidArgument>("{}: chunks of {} elements", layout.name, layout.chunk_elements);
  if (layout.n_elements > kMaxOffset / bytes)
    fail<InvalidArgument>("{}: {} elements, more than a file can hold", layout.name, layout.n_elements);
  const std::uint64_t n_chunks =
      layout.n_elements / layout.chunk_elements + (layout.n_elements % layout.chunk_elements != 0 ? 1 : 0);
  if (layout.offsets.size() != n_chunks)
    fail<InvalidArgument>("{}: places of {} chunks expected, found {}", layout.name, n_chunks, layout.offsets.size());
  for (const std::uint64_t offset : layout.offsets)
    if (offset > kMaxOffset) fail<InvalidArgument>("{}: a chunk at byte {} of a file", layout.name, offset);
}

}  // namespace

FileArray::FileArray(int descriptor, std::shared_ptr<const Layout> layout)
    : file_(duplicate(descriptor, layout->name)), layout_(std::move(layout)) {
  check(*layout_);
}

template <class Visit>
void FileArray::for_pieces(std::uint64_t begin, std::uint64_t end, Visit visit) const {
  const std::uint64_t bytes = element_bytes(layout_->dtype);
  const std::uint64_t chunk_elements = layout_->chunk_elements;
  const std::vector<std::uint64_t>& offsets = layout_->offsets;
  for (std::uint64_t at = begin; at < end;) {
    const std::uint64_t first = at / chunk_elements;
    std::uint64_t last = first;
    while ((last + 1) * chunk_elements < end && offsets[last + 1] == offsets[last] + chunk_elements * bytes) ++last;
    const std::uint64_t stop = std::min(end, (last + 1) * chunk_elements);
    visit(offsets[first] + (at - first * chunk_elements) * bytes, (stop - at) * bytes);
    at = stop;
  }
}

void FileArray::read(std::uint64_t begin, std::span<std::byte> out) const {
  const std::uint64_t n = out.size() / element_bytes(layout_->dtype);
  if (begin > layout_->n_elements || n > layout_->n_elements - begin)
    fail<InvalidArgument>("{}: elements [{}, {}) of {}", layout_->name, begin, begin + n, layout_->n_elements);
  for_pieces(begin, begin + n, [&](std::uint64_t offset, std::uint64_t n_bytes) {
    const std::size_t done = file_system::read_up_to(file_.descriptor(), layout_->name, offset, out.first(n_bytes));
    if (done < n_bytes)
      fail<InvalidArgument>("{}: the file ends at byte {}, but the array goes on to byte {}", layout_->name,
                            offset + done, offset + n_bytes);
    out = out.subspan(n_bytes);
  });
}

void FileArray::prefetch(std::uint64_t begin, std::uint64_t end) const {
  for_pieces(std::min(begin, layout_->n_elements), std::min(end, layout_->n_elements),
             [&](std::uint64_t offset, std::uint64_t n_bytes) {
               if (is_cached(offset + n_bytes - 1)) return;
               // Only a hint: what it answers changes nothing.
               ::posix_fadvise(file_.descriptor(), static_cast<off_t>(offset), static_cast<off_t>(n_bytes),
                               POSIX_FADV_WILLNEED);
             });
}

// Whether the byte can be read without waiting. Asking costs a microsecond, the hint 15 for each MB that is there.
bool FileArray::is_cached(std::uint64_t offset) const {
#ifdef RWF_NOWAIT
  std::byte byte;
  const iovec place{&byte, 1};
  return ::preadv2(file_.descriptor(), &place, 1, static_cast<off_t>(offset), RWF_NOWAIT) == 1;
#else
  static_cast<void>(offset);
  return false;
#endif
}

}  // namespace hox
