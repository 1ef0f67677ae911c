#include "homeobox/base/runtime.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <latch>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/base/interrupt.h"

namespace hox {
namespace {

TEST(Executor, RunsEveryTaskBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    Executor executor("test", 3);
    for (int i = 0; i < 100; ++i) executor.submit([&] { ++ran; });
  }
  EXPECT_EQ(ran, 100);
}

TEST(Executor, KnowsItsThreads) {
  std::latch done(1);
  Executor executor("test", 2);
  Executor other("other", 1);
  EXPECT_FALSE(executor.owns_current_thread());
  executor.submit([&] {
    EXPECT_TRUE(executor.owns_current_thread());
    EXPECT_FALSE(other.owns_current_thread());
    done.count_down();
  });
  done.wait();
}

TEST(Executor, NeedsAThread) {
  EXPECT_THROW(Executor("test", 0), InvalidArgument);
  EXPECT_THROW(Executor("test", 1'000'000), InvalidArgument);
}

class ParallelFor : public testing::TestWithParam<std::size_t> {
 protected:
  Executor executor_{"test", GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Threads, ParallelFor, testing::Values(1, 2, 7));

TEST_P(ParallelFor, CallsEachIndexOnce) {
  for (const std::size_t n : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> calls(n);
    parallel_for(executor_, n, [&](std::size_t i) { ++calls[i]; });
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
}

TEST_P(ParallelFor, RethrowsTheFirstExceptionAndStopsTheRest) {
  std::atomic<int> calls{0};
  const auto loop = [&] {
    parallel_for(executor_, 100'000, [&](std::size_t i) {
      ++calls;
      if (i == 3) throw CorruptData("chunk 3");
      std::this_thread::sleep_for(std::chrono::microseconds(10));
    });
  };
  try {
    loop();
    FAIL() << "no error";
  } catch (const CorruptData& error) {
    EXPECT_STREQ(error.what(), "chunk 3");
  }
  EXPECT_LT(calls, 100'000);
}

TEST_P(ParallelFor, AnErrorStopsCallsThatBlock) {
  const auto loop = [&] {
    parallel_for(executor_, 8, [&](std::size_t i, const std::stop_token& stop) {
      if (i == 0) throw std::runtime_error("first");
      interruptible_sleep(std::chrono::hours(1), stop);
    });
  };
  EXPECT_THROW(loop(), std::runtime_error);
}

TEST_P(ParallelFor, StopsByToken) {
  std::stop_source source;
  std::atomic<int> calls{0};
  const auto loop = [&] {
    parallel_for(
        executor_, 1000,
        [&](std::size_t) {
          if (++calls == 5) source.request_stop();
        },
        source.get_token());
  };
  EXPECT_THROW(loop(), Cancelled);
  EXPECT_LT(calls, 1000);
  calls = 1000;
  EXPECT_THROW(loop(), Cancelled);
  EXPECT_EQ(calls, 1000) << "stopped before it began";
}

TEST_P(ParallelFor, NestsWithoutDeadlock) {
  std::atomic<int> calls{0};
  parallel_for(executor_, 8, [&](std::size_t) {
    parallel_for(executor_, 8, [&](std::size_t) { parallel_for(executor_, 3, [&](std::size_t) { ++calls; }); });
  });
  EXPECT_EQ(calls, 192);
}

TEST_P(ParallelFor, WorksWhileThePoolIsBusy) {
  std::latch release(1);
  Executor executor("test", GetParam());  // ends before the latch that its tasks wait for
  for (std::size_t i = 0; i < executor.n_threads(); ++i) executor.submit([&] { release.wait(); });
  int calls = 0;
  parallel_for(executor, 10, [&](std::size_t) { ++calls; });
  EXPECT_EQ(calls, 10);
  release.count_down();
}

TEST_P(ParallelFor, ManyCallersShareAPool) {
  std::atomic<int> calls{0};
  std::vector<std::jthread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 20; ++j) parallel_for(executor_, 10, [&](std::size_t) { ++calls; });
    });
  }
  callers.clear();
  EXPECT_EQ(calls, 800);
}

class Interrupts : public testing::Test {
 protected:
  void SetUp() override {
    asked = 0;
    set_interrupt_check([] { return ++asked >= 2; });
  }
  void TearDown() override { set_interrupt_check(nullptr); }

  static inline std::atomic<int> asked{0};
};

TEST_F(Interrupts, EndALoop) {
  Executor executor("test", 2);
  const auto loop = [&] {
    parallel_for(executor, 3, [&](std::size_t i, const std::stop_token& stop) {
      // The calling thread has to be the one that waits for the others.
      if (!executor.owns_current_thread() && i == 0) return;
      interruptible_sleep(std::chrono::hours(1), stop);
    });
  };
  EXPECT_THROW(loop(), Cancelled);
  EXPECT_GE(asked, 2);
}

TEST_F(Interrupts, EndAWait) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  EXPECT_THROW(interruptible_wait(never, lock, {}, [] { return false; }), Cancelled);
  EXPECT_TRUE(lock.owns_lock());
}

TEST_F(Interrupts, AreNotAskedForOnPoolThreads) {
  std::latch done(1);
  Executor executor("test", 1);
  executor.submit([&] {
    EXPECT_FALSE(interrupt_requested());
    done.count_down();
  });
  done.wait();
  EXPECT_EQ(asked, 0);
}

TEST(Runtime, HasThreads) {
  EXPECT_GE(available_cpus(), 1U);
  EXPECT_GE(Runtime::cpu().n_threads(), 1U);
  EXPECT_GE(Runtime::io().n_threads(), 1U);
}

TEST(RuntimeDeathTest, ReadsItsSizesFromTheEnvironment) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        ::setenv("HOX_THREADS", "5", 1);
        ::setenv("HOX_IO_THREADS", "7", 1);
        std::_Exit(Runtime::cpu().n_threads() == 5 && Runtime::io().n_threads() == 7 ? 42 : 1);
      },
      testing::ExitedWithCode(42), "");
  for (const char* wrong : {"0", "-1", "two", "5x", "99999999"}) {
    EXPECT_EXIT(
        {
          ::setenv("HOX_THREADS", wrong, 1);
          try {
            Runtime::cpu();
          } catch (const InvalidArgument&) {
            std::_Exit(42);
          }
        },
        testing::ExitedWithCode(42), "")
        << wrong;
  }
}

// What a child of fork() answers: the exit status of `in_child`.
template <class InChild>
int status_of_child(InChild in_child) {
  const pid_t child = ::fork();
  if (child == 0) std::_Exit(in_child());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(RuntimeFork, AChildIsRefusedAPoolThatRuns) {
  Executor executor("test", 2);
  parallel_for(executor, 2, [](std::size_t) {});
  EXPECT_EQ(status_of_child([&] {
              try {
                parallel_for(executor, 2, [](std::size_t) {});
                return 1;
              } catch (const Unsupported& error) {
                return std::string(error.what()).find("forkserver") != std::string::npos ? 42 : 2;
              }
            }),
            42);
  EXPECT_NO_THROW(parallel_for(executor, 2, [](std::size_t) {}));
}

TEST(RuntimeFork, AChildMayEndAPoolThatRan) {
  EXPECT_EQ(status_of_child([] {
              auto executor = std::make_unique<Executor>("test", 2);
              executor->submit([] {});
              return status_of_child([&] {
                executor.reset();
                return 42;
              });
            }),
            42);
}

#if !defined(__SANITIZE_THREAD__)  // which cannot start threads in the child of a process with threads
TEST(RuntimeFork, AChildMayStartAPoolThatDidNotRun) {
  Executor executor("test", 2);
  EXPECT_EQ(status_of_child([&] {
              std::atomic<int> calls{0};
              parallel_for(executor, 10, [&](std::size_t) { ++calls; });
              return calls == 10 ? 42 : 1;
            }),
            42);
}
#endif

}  // namespace
}  // namespace hox
