#include "homeobox/base/runtime.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/base/interrupt.h"

namespace hox {
namespace {

constexpr std::size_t kDefaultIoThreads = 16;
constexpr std::size_t kMaxThreads = 4096;

std::atomic<unsigned> generation_of_process{0};

thread_local const void* pool_of_thread = nullptr;

// Pool threads leave signals to the threads of the embedding process. Faults must stay deliverable: the kernel ends
// the process when it cannot deliver one, and io/mapped_file.cc handles SIGBUS.
void block_asynchronous_signals() {
  sigset_t signals;
  sigfillset(&signals);
  for (int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&signals, fault);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

unsigned fork_generation() noexcept {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { generation_of_process.fetch_add(1); });
  static_cast<void>(registered);
  return generation_of_process.load();
}

void refuse_after_fork(unsigned generation, const char* what) {
  if (generation != fork_generation())
    fail<Unsupported>(
        "{} was started before fork() and does not exist in the child process; start worker processes with spawn or "
        "forkserver instead of fork",
        what);
}

struct Executor::State {
  State(std::string thread_name, std::size_t thread_count)
      : name(std::move(thread_name)), n_threads(thread_count), generation(fork_generation()) {}

  const std::string name;
  const std::size_t n_threads;

  // Read before `mutex`, which another thread may have held at the time of a fork. Not started is 0, else the
  // generation plus one.
  std::atomic<unsigned> started_in{0};
  const unsigned generation;

  std::mutex mutex;
  std::condition_variable work;
  std::deque<std::function<void()>> tasks;
  std::vector<std::thread> threads;
  bool closing = false;

  void run() {
    pool_of_thread = this;
    exempt_thread_from_interrupts();
    std::unique_lock lock(mutex);
    for (;;) {
      work.wait(lock, [this] { return closing || !tasks.empty(); });
      if (tasks.empty()) return;
      {
        std::function<void()> task = std::move(tasks.front());
        tasks.pop_front();
        lock.unlock();
        task();
      }
      lock.lock();
    }
  }

  void start() {
    sigset_t before;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    block_asynchronous_signals();  // inherited by the threads
    try {
      while (threads.size() < n_threads) {
        threads.emplace_back([this] { run(); });
        pthread_setname_np(threads.back().native_handle(), fmt::format("{}-{}", name, threads.size()).c_str());
      }
    } catch (const std::system_error&) {
      // A process at its thread limit works with the threads it got.
      if (threads.empty()) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
      }
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
};

Executor::Executor(std::string name, std::size_t n_threads)
    : state_(std::make_unique<State>(std::move(name), n_threads)) {
  if (n_threads == 0 || n_threads > kMaxThreads)
    fail<InvalidArgument>("thread pool {}: 1 to {} threads expected, {} asked for", state_->name, kMaxThreads,
                          n_threads);
}

Executor::~Executor() {
  const unsigned started_in = state_->started_in.load();
  if (started_in == 0) return;
  if (started_in != fork_generation() + 1) {
    // The threads stayed in the parent. Their handles cannot be joined and their lock may be held for ever.
    static_cast<void>(state_.release());
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->work.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void Executor::submit(std::function<void()> task) {
  const unsigned started_in = state_->started_in.load();
  if (started_in != 0) refuse_after_fork(started_in - 1, "the thread pool of homeobox");
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->threads.empty()) {
      state_->start();
      state_->started_in.store(fork_generation() + 1);
    }
    state_->tasks.push_back(std::move(task));
  }
  state_->work.notify_one();
}

std::size_t Executor::n_threads() const noexcept { return state_->n_threads; }

bool Executor::owns_current_thread() const noexcept { return pool_of_thread == state_.get(); }

namespace {

using Body = std::function<void(std::size_t, std::stop_token)>;

// One parallel_for. Helpers hold it by shared_ptr, because one may start after the loop is over; `body` belongs to
// the caller and is touched only between enter() and leave().
class Loop {
 public:
  Loop(std::size_t n, const Body& body) : n_(n), body_(body) {}

  std::stop_source& stop() { return stop_; }

  void help() {
    if (!enter()) return;
    while (step()) {
    }
    leave();
  }

  // Runs one call; false when there is nothing left to do.
  bool step() {
    if (stop_.stop_requested()) return false;
    const std::size_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= n_) return false;
    // The exception's last reference must not be dropped by a thread that no longer synchronises with the caller,
    // so it moves into the loop after the handler is done with it.
    std::exception_ptr error;
    try {
      body_(i, stop_.get_token());
      done_.fetch_add(1, std::memory_order_relaxed);
    } catch (...) {
      error = std::current_exception();
    }
    if (error == nullptr) return true;
    {
      const std::lock_guard lock(mutex_);
      if (error_ == nullptr) error_ = std::move(error);
    }
    stop_.request_stop();
    return false;
  }

  // Waits for the helpers that are inside; those that come later find the door closed.
  bool finish_wait_for(std::chrono::milliseconds period) {
    std::unique_lock lock(mutex_);
    closed_ = true;
    return left_.wait_for(lock, period, [this] { return active_ == 0; });
  }

  void rethrow_if_failed(bool interrupted) {
    std::exception_ptr error;
    {
      const std::lock_guard lock(mutex_);
      error = std::move(error_);
    }
    if (interrupted) throw Cancelled("interrupted");
    if (error != nullptr) std::rethrow_exception(error);
    if (done_.load(std::memory_order_relaxed) < n_) throw Cancelled("cancelled before it finished");
  }

 private:
  bool enter() {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    ++active_;
    return true;
  }

  void leave() {
    const std::lock_guard lock(mutex_);
    --active_;
    left_.notify_one();
  }

  const std::size_t n_;
  const Body& body_;
  std::stop_source stop_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> done_{0};
  std::mutex mutex_;
  std::condition_variable left_;
  std::exception_ptr error_;
  std::size_t active_ = 0;
  bool closed_ = false;
};

}  // namespace

void detail::parallel_for(Executor& executor, std::size_t n, const Body& body, const std::stop_token& stop) {
  if (n == 0) return;
  const bool alone = n == 1 || executor.n_threads() == 1;
  const auto loop = std::make_shared<Loop>(n, body);
  const std::stop_callback linked(stop, [&loop] { loop->stop().request_stop(); });
  if (!alone) {
    const std::size_t helpers = std::min(n - 1, executor.n_threads());
    try {
      for (std::size_t i = 0; i < helpers; ++i) executor.submit([loop] { loop->help(); });
    } catch (...) {
      // Helpers that are already at work use the caller's body.
      loop->stop().request_stop();
      while (!loop->finish_wait_for(kInterruptPeriod)) {
      }
      throw;
    }
  }

  bool interrupted = false;
  auto last_check = std::chrono::steady_clock::now();
  const auto check = [&] {
    last_check = std::chrono::steady_clock::now();
    if (!interrupted && interrupt_requested()) {
      interrupted = true;
      loop->stop().request_stop();
    }
  };
  while (loop->step()) {
    if (std::chrono::steady_clock::now() - last_check >= kInterruptPeriod) check();
  }
  while (!loop->finish_wait_for(kInterruptPeriod)) check();
  loop->rethrow_if_failed(interrupted);
}

namespace {

std::size_t threads_from_environment(const char* variable, std::size_t fallback) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return fallback;
  std::size_t value = 0;
  const char* end = text + std::strlen(text);
  const auto [stopped, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stopped != end || value == 0 || value > kMaxThreads)
    fail<InvalidArgument>("{}: a number of threads from 1 to {} expected, found \"{}\"", variable, kMaxThreads, text);
  return value;
}

}  // namespace

// Leaked on purpose: joining at exit could wait for a request that never ends.
Executor& Runtime::cpu() {
  static Executor& executor = *new Executor("hox-cpu", threads_from_environment("HOX_THREADS", available_cpus()));
  return executor;
}

Executor& Runtime::io() {
  static Executor& executor = *new Executor("hox-io", threads_from_environment("HOX_IO_THREADS", kDefaultIoThreads));
  return executor;
}

}  // namespace hox
