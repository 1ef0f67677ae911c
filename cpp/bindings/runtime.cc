// Binds base/runtime.h, and lets waiting C++ calls answer Ctrl-C.

#include "homeobox/base/runtime.h"

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "bindings.h"
#include "homeobox/base/interrupt.h"

namespace hox::bindings {
namespace {

// Python handles signals on its main thread only. Other threads must not even ask: taking the GIL while the
// interpreter goes down would end them in the middle of a C++ call.
std::atomic<pthread_t> main_thread;

// Runs without the GIL. The error that a signal handler raised stays set in this thread; errors.cc keeps it.
bool python_interrupt() {
  if (pthread_equal(pthread_self(), main_thread) == 0) return false;
  const nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

void find_main_thread() {
  const nb::object ident = nb::module_::import_("threading").attr("main_thread")().attr("ident");
  main_thread = static_cast<pthread_t>(nb::cast<std::uintptr_t>(ident));
  // The thread that forks is the main thread of the child.
  pthread_atfork(nullptr, nullptr, [] { main_thread = pthread_self(); });
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
  find_main_thread();
  set_interrupt_check(python_interrupt);
  m.def("runtime_info", &runtime_info, kRuntimeInfoDoc);
}

}  // namespace hox::bindings
