// Runtime: the threads of this process. Every thread of the core belongs to one of two pools.
//
// CPU tasks decode and assemble; I/O tasks wait for stores. A CPU task does not wait for I/O, and no task waits for
// its own pool. Others receive an Executor&; no other file makes a thread.
//
// Threads start with the first task. They do not survive fork(): a child may use a pool that its parent had not
// started, and is refused with Unsupported otherwise. The pools of Runtime are never destroyed, so a process may exit
// while tasks run.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

namespace hox {

// A fixed set of threads that run tasks in the order of submission. Safe to use from any thread.
class Executor {
 public:
  // `name` (at most 11 characters) is how debuggers show the threads. `n_threads` >= 1.
  Executor(std::string name, std::size_t n_threads);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  // Runs the tasks that are queued, then joins.
  ~Executor();

  // Runs `task` on a thread of the pool. A task must not throw: nobody would hear it, so it ends the process.
  // Throws Unsupported in a child of fork().
  void submit(std::function<void()> task);

  std::size_t n_threads() const noexcept;
  // Whether the current thread is one of this pool.
  bool owns_current_thread() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

namespace detail {
void parallel_for(Executor& executor, std::size_t n, const std::function<void(std::size_t, std::stop_token)>& body,
                  const std::stop_token& stop);
}  // namespace detail

// Calls body(i) once for each i in [0, n), in no particular order, on the pool and on the calling thread. Returns
// when no call is running any more. The first exception stops the calls not yet begun and is rethrown here.
//
// A body that blocks takes the stop token as its second argument: it is stopped by `stop`, by another call's failure
// and by an interrupt. Throws Cancelled when stopped before every call was made. Runs inline for n <= 1 and for a pool
// of one thread. A call on a thread of the pool takes part like any caller: it waits only for calls that other threads
// are already in, so loops may nest.
template <class Body>
void parallel_for(Executor& executor, std::size_t n, Body&& body, const std::stop_token& stop = {}) {
  if constexpr (std::invocable<Body&, std::size_t, std::stop_token>) {
    detail::parallel_for(executor, n, std::ref(body), stop);
  } else {
    detail::parallel_for(
        executor, n, [&body](std::size_t i, const std::stop_token&) { body(i); }, stop);
  }
}

// The process-wide pools. HOX_THREADS and HOX_IO_THREADS set their sizes and are read at the first use; by default
// as many CPU threads as the affinity mask and the cgroup's CPU quota allow, and 16 I/O threads.
class Runtime {
 public:
  Runtime() = delete;
  static Executor& cpu();
  static Executor& io();
};

// CPUs that this process may use: the smaller of its affinity mask and its cgroup v2 quota, rounded up; at least 1.
std::size_t available_cpus();

// Throws Unsupported in a child of fork() whose parent had `what` running. `generation` is the fork_generation() at
// which `what` started.
unsigned fork_generation() noexcept;
void refuse_after_fork(unsigned generation, const char* what);

}  // namespace hox
