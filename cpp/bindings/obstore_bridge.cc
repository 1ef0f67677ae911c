// Binds ObstoreStore, and what the dispatcher in homeobox/_obstore_bridge.py calls to take and complete requests.

#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bindings.h"
#include "io_doc.h"
#include "obstore_queue.h"
#include "obstore_store.h"

namespace hox::bindings {
namespace {

using namespace nanobind::literals;
using Operation = ObstoreOperation;

std::shared_ptr<ObstoreStore> make_obstore_store(nb::handle store) {
  ObstoreQueue::instance().refuse_after_fork();
  const nb::object core = nb::module_::import_("homeobox._core").attr("_obstore");
  const nb::module_ bridge = nb::module_::import_("homeobox._obstore_bridge");
  const auto [store_id, description] =
      nb::cast<std::pair<std::uint64_t, std::string>>(bridge.attr("register")(core, store));
  return std::make_shared<ObstoreStore>(store_id, description);
}

// The bridge's name of an operation.
const char* name_of(Operation operation) {
  switch (operation) {
    case Operation::kRead:
      return "read";
    case Operation::kReadRanges:
      return "read_ranges";
    case Operation::kReadSuffix:
      return "read_suffix";
    case Operation::kSize:
      return "size";
    case Operation::kWrite:
      return "write";
    case Operation::kCreate:
      return "create";
    case Operation::kRemove:
      return "remove";
    case Operation::kList:
      return "list";
    case Operation::kCancel:
      return "cancel";
    case Operation::kForget:
      break;
  }
  return "forget";
}

// What a request carries besides its key, as the bridge's function for it expects.
nb::object argument_of(const ObstoreRequest& request, nb::object data) {
  switch (request.operation) {
    case Operation::kReadRanges: {
      nb::list begins;
      nb::list ends;
      for (const ByteRange& range : request.ranges) {
        begins.append(range.begin);
        ends.append(range.end);
      }
      return nb::make_tuple(begins, ends);
    }
    case Operation::kReadSuffix:
      return nb::int_(request.n_bytes);
    case Operation::kWrite:
    case Operation::kCreate:
      return data.is_valid() ? data : nb::bytes("", 0);
    default:
      return nb::none();
  }
}

// List of (request id, operation, store id, key, argument). A request that cannot be put into Python objects fails,
// and the others go on.
nb::list take() {
  ObstoreQueue& queue = ObstoreQueue::instance();
  std::unordered_map<std::uint64_t, nb::object> data;
  // Making a bytes object runs no other Python code, so it is safe under the queue's lock.
  const auto taken = queue.take([&](const ObstoreQueue::Taken& next) { data[next.id] = to_bytes(next.request.data); });
  nb::list requests;
  for (const auto& [id, request] : taken) {
    try {
      requests.append(nb::make_tuple(id, name_of(request.operation), request.store_id,
                                     nb::str(request.key.data(), request.key.size()), argument_of(request, data[id])));
    } catch (const std::exception&) {
      queue.fail_for_want_of_memory(id);
    }
  }
  return requests;
}

// Copies all of `objects`, which have the buffer protocol, into one block; the GIL is released meanwhile.
std::vector<Buffer> copy_buffers(const std::vector<nb::object>& objects) {
  std::vector<std::unique_ptr<BufferView>> views;
  std::size_t total = 0;
  for (const nb::object& object : objects) {
    views.push_back(std::make_unique<BufferView>(object));
    total += views.back()->bytes().size();
  }
  const auto block = std::make_shared_for_overwrite<std::byte[]>(total);
  std::vector<Buffer> buffers;
  const GilRelease released;
  std::size_t used = 0;
  for (const auto& view : views) {
    const std::span<const std::byte> bytes = view->bytes();
    if (!bytes.empty()) std::memcpy(block.get() + used, bytes.data(), bytes.size());
    buffers.emplace_back(block, std::span<const std::byte>(block.get() + used, bytes.size()));
    used += bytes.size();
  }
  return buffers;
}

ObstoreAnswer to_answer(Operation operation, nb::object result) {
  ObstoreAnswer answer;
  switch (operation) {
    case Operation::kRead:
      answer.buffers = copy_buffers({result});
      break;
    case Operation::kReadRanges:
      answer.buffers = copy_buffers(nb::cast<std::vector<nb::object>>(result));
      break;
    case Operation::kReadSuffix: {
      const auto [bytes, object_bytes] = nb::cast<std::pair<nb::object, std::uint64_t>>(result);
      answer.buffers = copy_buffers({bytes});
      answer.object_bytes = object_bytes;
      break;
    }
    case Operation::kSize:
      answer.object_bytes = nb::cast<std::uint64_t>(result);
      break;
    case Operation::kCreate:
      answer.created = nb::cast<bool>(result);
      break;
    case Operation::kList:
      for (auto& [key, bytes] : nb::cast<std::vector<std::pair<std::string, std::uint64_t>>>(result))
        answer.objects.push_back({std::move(key), bytes});
      break;
    default:
      break;
  }
  return answer;
}

void complete(std::uint64_t id, nb::object result) {
  ObstoreQueue& queue = ObstoreQueue::instance();
  const std::optional<Operation> operation = queue.operation_of(id);
  if (operation) queue.complete(id, to_answer(*operation, std::move(result)));
}

void complete_missing(std::uint64_t id) {
  ObstoreAnswer answer;
  answer.missing = true;
  ObstoreQueue::instance().complete(id, std::move(answer));
}

void fail_request(std::uint64_t id, std::string message, bool retryable) {
  ObstoreQueue::instance().fail(id, std::move(message), retryable);
}

}  // namespace

void bind_obstore(nb::module_& m) {
  nb::class_<ObstoreStore, Store>(m, "ObstoreStore", kObstoreStoreDoc).def(nb::new_(&make_obstore_store), "store"_a);

  nb::module_ bridge = m.def_submodule("_obstore", "For homeobox._obstore_bridge only.");
  bridge.def("start", [] { return ObstoreQueue::instance().start(); });
  bridge.def("close", [] { ObstoreQueue::instance().close(); });
  bridge.def("take", &take);
  bridge.def("complete", &complete, "request_id"_a, "result"_a.none());
  bridge.def("complete_missing", &complete_missing, "request_id"_a);
  bridge.def("fail", &fail_request, "request_id"_a, "message"_a, "retryable"_a);
}

}  // namespace hox::bindings
