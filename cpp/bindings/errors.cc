// Translates C++ exceptions to the classes of homeobox/errors.py; the only place that does.
//
// The classes are written in Python, so that they have docstrings, pickle, and two bases without C API acrobatics.

#include <array>
#include <cstddef>
#include <exception>
#include <new>

#include "bindings.h"
#include "homeobox/base/error.h"

namespace hox::bindings {
namespace {

enum class Kind : std::size_t {
  kInvalidArgument,
  kOutOfRange,
  kNotFound,
  kCorruptData,
  kUnsupported,
  kStore,
  kConflict,
  kCancelled,
  kInternal,
};

constexpr std::array<const char*, 9> kNames = {
    "InvalidArgumentError", "OutOfRangeError", "NotFoundError",  "CorruptDataError", "UnsupportedError",
    "StoreError",           "ConflictError",   "CancelledError", "InternalError",
};

// Leaked on purpose: a translator may run while the interpreter goes down, when no order of destruction holds.
std::array<PyObject*, kNames.size()> classes{};

PyObject* class_of(Kind kind) { return classes[static_cast<std::size_t>(kind)]; }

void raise(Kind kind, const std::exception& error) {
  // Ctrl-C, and whatever else a signal handler raised, wins over the error that it caused here.
  if (PyErr_Occurred() == nullptr) PyErr_SetString(class_of(kind), error.what());
}

void raise_store_error(const StoreError& error) {
  if (PyErr_Occurred() != nullptr) return;
  PyObject* exception =
      PyObject_CallFunction(class_of(Kind::kStore), "sO", error.what(), error.retryable() ? Py_True : Py_False);
  if (exception == nullptr) return;  // Python has set its own error
  PyErr_SetObject(class_of(Kind::kStore), exception);
  Py_DECREF(exception);
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const InvalidArgument& error) {
    raise(Kind::kInvalidArgument, error);
  } catch (const OutOfRange& error) {
    raise(Kind::kOutOfRange, error);
  } catch (const NotFound& error) {
    raise(Kind::kNotFound, error);
  } catch (const CorruptData& error) {
    raise(Kind::kCorruptData, error);
  } catch (const Unsupported& error) {
    raise(Kind::kUnsupported, error);
  } catch (const StoreError& error) {
    raise_store_error(error);
  } catch (const Conflict& error) {
    raise(Kind::kConflict, error);
  } catch (const Cancelled& error) {
    raise(Kind::kCancelled, error);
  } catch (const std::bad_alloc&) {
    if (PyErr_Occurred() == nullptr) PyErr_NoMemory();
  } catch (const std::exception& error) {
    raise(Kind::kInternal, error);
  }
}

}  // namespace

void bind_errors(nb::module_& m) {
  const nb::module_ errors = nb::module_::import_("homeobox.errors");
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    nb::object type = errors.attr(kNames[i]);
    m.attr(kNames[i]) = type;
    classes[i] = type.release().ptr();
  }
  m.attr("HoxError") = errors.attr("HomeoboxError");
  nb::register_exception_translator(translate);
}

}  // namespace hox::bindings
