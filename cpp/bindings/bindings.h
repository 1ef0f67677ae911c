// What the files of this folder share: one bind function per layer, and the conversions that more than one needs.
//
// A bound function checks its arguments while it holds the GIL, releases it once around the whole C++ call, and
// hands memory over without a copy where Python allows it. Errors leave as C++ exceptions; errors.cc translates.
#pragma once

#include <cxxabi.h>
#include <nanobind/nanobind.h>
#include <unistd.h>

#include <cstddef>
#include <span>

namespace hox::bindings {

namespace nb = nanobind;

void bind_errors(nb::module_& m);
void bind_runtime(nb::module_& m);
void bind_io(nb::module_& m);
void bind_obstore(nb::module_& m);  // after bind_io
void bind_codec(nb::module_& m);
void bind_zarr(nb::module_& m);
void bind_ragged(nb::module_& m);
void bind_csr_writer(nb::module_& m);
void bind_file_array(nb::module_& m);
void bind_transpose(nb::module_& m);
void bind_loader(nb::module_& m);

// Releases the GIL for the rest of a scope. Use it instead of nb::gil_scoped_release: a daemon thread that wants the
// GIL back while the interpreter goes down is ended by CPython (before 3.14) with pthread_exit(), which may not pass
// through a destructor and would abort the process. Such a thread sleeps here until the process is gone.
class GilRelease {
 public:
  GilRelease() noexcept : state_(PyEval_SaveThread()) {}
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;
  ~GilRelease() {
    try {
      PyEval_RestoreThread(state_);
    } catch (const abi::__forced_unwind&) {
      for (;;) ::pause();
    }
  }

 private:
  PyThreadState* state_;
};

// A contiguous view of any object with the buffer protocol (bytes, memoryview, ndarray), for as long as it lives.
// Construct and destroy with the GIL held; the span may be read without it.
class BufferView {
 public:
  explicit BufferView(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_C_CONTIGUOUS) != 0) throw nb::python_error();
  }
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;
  ~BufferView() { PyBuffer_Release(&view_); }

  std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

// The one copy that Python's bytes needs.
inline nb::bytes to_bytes(std::span<const std::byte> bytes) { return nb::bytes(bytes.data(), bytes.size()); }

}  // namespace hox::bindings
