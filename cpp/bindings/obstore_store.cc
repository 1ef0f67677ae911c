#include "obstore_store.h"

#include <algorithm>
#include <stdexcept>

#include "bindings.h"
#include "homeobox/base/error.h"
#include "homeobox/io/key.h"
#include "obstore_queue.h"

namespace hox::bindings {
namespace {

using Operation = ObstoreOperation;

ObstoreRequest request(std::uint64_t store_id, Operation operation, std::string_view key) {
  ObstoreRequest made;
  made.operation = operation;
  made.store_id = store_id;
  made.key = key;
  return made;
}

// Not PyGILState_Check(), which always says yes once the process has a subinterpreter.
bool holds_gil() {
  PyThreadState* own = PyGILState_GetThisThreadState();
#if PY_VERSION_HEX >= 0x030d0000
  return own != nullptr && own == PyThreadState_GetUnchecked();
#else
  return own != nullptr && own == _PyThreadState_UncheckedGet();
#endif
}

ObstoreAnswer ask(ObstoreRequest made, const std::stop_token& stop = {}) {
  // The dispatcher needs the GIL to answer: waiting for it with the GIL would be for ever.
  if (holds_gil()) throw std::logic_error("a bound function asked a store of obstore without releasing the GIL");
  return ObstoreQueue::instance().ask(std::move(made), stop);
}

}  // namespace

ObstoreStore::~ObstoreStore() { ObstoreQueue::instance().forget(store_id_); }

std::optional<Buffer> ObstoreStore::read(std::string_view key, const ReadOptions& options) const {
  check_key(key);
  ObstoreAnswer answer = ask(request(store_id_, Operation::kRead, key), options.stop);
  if (answer.missing) return std::nullopt;
  return std::move(answer.buffers.at(0));
}

// Ranges that are not empty, all of them answered in full.
std::optional<std::vector<Buffer>> ObstoreStore::fetch(std::string_view key, const std::vector<ByteRange>& ranges,
                                                       const ReadOptions& options) const {
  ObstoreRequest made = request(store_id_, Operation::kReadRanges, key);
  made.ranges = ranges;
  std::vector<Buffer> buffers;
  try {
    ObstoreAnswer answer = ask(std::move(made), options.stop);
    if (answer.missing) return std::nullopt;
    buffers = std::move(answer.buffers);
  } catch (const StoreError&) {
    // Whether a range behind the end is an error or a short answer differs between obstore's stores.
    const std::optional<std::uint64_t> object_bytes = size(key);
    if (object_bytes) check_ranges(*this, key, ranges, *object_bytes);
    throw;
  }
  const auto complete = [](const Buffer& buffer, const ByteRange& range) {
    return buffer.size() == range.end - range.begin;
  };
  if (!std::ranges::equal(buffers, ranges, complete)) {
    const std::optional<std::uint64_t> object_bytes = size(key);
    if (!object_bytes) return std::nullopt;
    check_ranges(*this, key, ranges, *object_bytes);
    fail<StoreError>("{}, key \"{}\": an answer was shorter than its range", description_, key);
  }
  return buffers;
}

std::optional<std::vector<Buffer>> ObstoreStore::read_ranges(std::string_view key, std::span<const ByteRange> ranges,
                                                             const ReadOptions& options) const {
  check_key(key);
  std::vector<ByteRange> asked;
  std::uint64_t needed_bytes = 0;
  for (const ByteRange& range : ranges) {
    needed_bytes = std::max({needed_bytes, range.begin, range.end});
    if (range.begin != range.end) asked.push_back(range);
  }
  check_ranges(*this, key, ranges, needed_bytes);  // the order of begin and end, before any request
  // obstore rejects empty ranges, but one of them may still leave the object.
  if (asked.size() != ranges.size()) {
    const std::optional<std::uint64_t> object_bytes = size(key);
    if (!object_bytes) return std::nullopt;
    check_ranges(*this, key, ranges, *object_bytes);
  }
  if (asked.empty()) {
    if (ranges.empty() && !size(key)) return std::nullopt;
    return std::vector<Buffer>(ranges.size());
  }
  std::optional<std::vector<Buffer>> fetched = fetch(key, asked, options);
  if (!fetched || asked.size() == ranges.size()) return fetched;
  std::vector<Buffer> slices;
  slices.reserve(ranges.size());
  auto next = fetched->begin();
  for (const ByteRange& range : ranges) slices.push_back(range.begin == range.end ? Buffer() : std::move(*next++));
  return slices;
}

std::optional<Suffix> ObstoreStore::read_suffix(std::string_view key, std::uint64_t n_bytes,
                                                const ReadOptions& options) const {
  check_key(key);
  ObstoreRequest made = request(store_id_, Operation::kReadSuffix, key);
  made.n_bytes = n_bytes;
  ObstoreAnswer answer = ask(std::move(made), options.stop);
  if (answer.missing) return std::nullopt;
  return Suffix{std::move(answer.buffers.at(0)), answer.object_bytes};
}

std::optional<std::uint64_t> ObstoreStore::size(std::string_view key) const {
  check_key(key);
  const ObstoreAnswer answer = ask(request(store_id_, Operation::kSize, key));
  if (answer.missing) return std::nullopt;
  return answer.object_bytes;
}

void ObstoreStore::write(std::string_view key, std::span<const std::byte> bytes) {
  check_key(key);
  ObstoreRequest made = request(store_id_, Operation::kWrite, key);
  made.data = bytes;
  ask(std::move(made));
}

bool ObstoreStore::create(std::string_view key, std::span<const std::byte> bytes) {
  check_key(key);
  ObstoreRequest made = request(store_id_, Operation::kCreate, key);
  made.data = bytes;
  return ask(std::move(made)).created;
}

void ObstoreStore::remove(std::string_view key) {
  check_key(key);
  ask(request(store_id_, Operation::kRemove, key));
}

std::vector<ObjectInfo> ObstoreStore::list(std::string_view prefix) const {
  check_key_prefix(prefix);
  // obstore matches whole path components only: ask for the directory, choose here.
  const std::size_t slash = prefix.rfind('/');
  const std::string_view directory = slash == std::string_view::npos ? "" : prefix.substr(0, slash);
  std::vector<ObjectInfo> objects = ask(request(store_id_, Operation::kList, directory)).objects;
  std::erase_if(objects, [&](const ObjectInfo& object) { return !object.key.starts_with(prefix); });
  std::ranges::sort(objects, {}, &ObjectInfo::key);
  return objects;
}

}  // namespace hox::bindings
