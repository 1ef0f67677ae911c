// Binds base/runtime.h, and lets waiting C++ calls answer Ctrl-C.

#include "homeobox/base/runtime.h"

#include "bindings.h"
#include "homeobox/base/interrupt.h"

namespace hox::bindings {
namespace {

// Runs on threads that came from Python and have released the GIL. The error that a signal handler raised stays set
// in this thread; errors.cc keeps it.
bool python_interrupt() {
  if (!nb::is_alive()) return true;
  const nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

nb::dict runtime_info() {
  nb::dict info;
  info["cpu_threads"] = Runtime::cpu().n_threads();
  info["io_threads"] = Runtime::io().n_threads();
  info["available_cpus"] = available_cpus();
  return info;
}

constexpr const char* kRuntimeInfoDoc = R"(Sizes of the thread pools.

Returns
-------
info : dict
    ``cpu_threads`` and ``io_threads``, threads per pool (``HOX_THREADS`` and ``HOX_IO_THREADS`` set them before the
    first use); ``available_cpus``, CPUs that the affinity mask and the cgroup's quota allow.

Raises
------
InvalidArgumentError
    ``HOX_THREADS`` or ``HOX_IO_THREADS`` is not a number of threads.
)";

}  // namespace

void bind_runtime(nb::module_& m) {
  set_interrupt_check(python_interrupt);
  m.def("runtime_info", &runtime_info, kRuntimeInfoDoc);
}

}  // namespace hox::bindings
