// What FileStore promises beyond the conformance suite: atomic files, mappings that follow the files, and files that
// are cut short under a mapping.

#include "homeobox/io/file_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csetjmp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "homeobox/base/error.h"
#include "homeobox/io/mapped_file.h"
#include "homeobox/io/testing/store_conformance.h"

namespace hox {
namespace {

namespace fs = std::filesystem;

class FileStoreTest : public testing::Test {
 protected:
  fs::path path_of(const std::string& key) const { return fs::path(directory_.path()) / key; }

  TemporaryDirectory directory_;
  FileStore store_{directory_.path()};
};

int sum(const Buffer& buffer) {
  return std::accumulate(buffer.bytes().begin(), buffer.bytes().end(), 0,
                         [](int total, std::byte byte) { return total + static_cast<int>(byte); });
}

TEST_F(FileStoreTest, LeavesNoTemporaryFiles) {
  store_.write("a/key", as_bytes("1"));
  store_.create("a/key", as_bytes("2"));
  store_.create("a/other", as_bytes("3"));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path_of("a"))) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"key", "other"}));
}

TEST_F(FileStoreTest, NeitherListsNorTakesTemporaryNames) {
  std::ofstream(path_of(".hox-tmp-0123-4")) << "of a writer that died";
  EXPECT_TRUE(store_.list("").empty());
  EXPECT_THROW(store_.write(".hox-tmp-0123-4", as_bytes("x")), InvalidArgument);
  EXPECT_THROW(store_.read("a/.hox-tmp-0123-4"), InvalidArgument);
  store_.write("a.hox-tmp-", as_bytes("not at the start of a name"));
  EXPECT_EQ(store_.list("").size(), 1U);
}

TEST_F(FileStoreTest, RemovesWhatDeadWritersLeft) {
  store_.write("a/key", as_bytes("x"));
  for (const char* name : {"a/.hox-tmp-old", "a/.hox-tmp-new", "a/not.hox-tmp-", ".hox-tmp-elsewhere"})
    std::ofstream(path_of(name)) << "x";
  for (const char* name : {"a/.hox-tmp-old", "a/not.hox-tmp-", ".hox-tmp-elsewhere"})
    fs::last_write_time(path_of(name), fs::file_time_type::clock::now() - std::chrono::hours(25));
  store_.remove("a/missing");
  EXPECT_TRUE(fs::exists(path_of("a/.hox-tmp-old")));
  store_.remove("a/key");
  EXPECT_FALSE(fs::exists(path_of("a/.hox-tmp-old")));
  EXPECT_TRUE(fs::exists(path_of("a/.hox-tmp-new"))) << "its writer may be alive";
  EXPECT_TRUE(fs::exists(path_of("a/not.hox-tmp-")));
  EXPECT_TRUE(fs::exists(path_of(".hox-tmp-elsewhere")));
}

TEST_F(FileStoreTest, AFileInTheWayIsAnErrorThatNamesThePath) {
  store_.write("a", as_bytes("file"));
  EXPECT_FALSE(store_.read("a/b"));
  EXPECT_FALSE(store_.size("a/b"));
  EXPECT_NO_THROW(store_.remove("a/b"));
  try {
    store_.write("a/b", as_bytes("x"));
    FAIL() << "no error";
  } catch (const StoreError& error) {
    EXPECT_FALSE(error.retryable());
    EXPECT_NE(std::string(error.what()).find(directory_.path()), std::string::npos) << error.what();
  }
}

TEST_F(FileStoreTest, MissingRightsAreNotRetryable) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  fs::permissions(directory_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  try {
    store_.write("key", as_bytes("x"));
    FAIL() << "no error";
  } catch (const StoreError& error) {
    EXPECT_FALSE(error.retryable());
  }
  fs::permissions(directory_.path(), fs::perms::owner_all);
}

TEST_F(FileStoreTest, RelativeRootsStayWhereTheyWere) {
  const fs::path before = fs::current_path();
  fs::current_path(directory_.path());
  FileStore store("inner/../inner/");
  fs::current_path(before);
  store.write("key", as_bytes("x"));
  EXPECT_TRUE(fs::exists(path_of("inner/key")));
  EXPECT_THROW(FileStore(""), InvalidArgument);
}

TEST_F(FileStoreTest, ViewsAreTheSameMappingUntilTheFileChanges) {
  store_.write("key", as_bytes("first"));
  const Buffer first = store_.view("key").value();
  EXPECT_EQ(store_.view("key")->data(), first.data());
  // By another process, as far as this store can tell.
  FileStore(directory_.path()).write("key", as_bytes("other"));
  const Buffer second = store_.view("key").value();
  EXPECT_EQ(as_text(second), "other");
  EXPECT_EQ(as_text(first), "first");
}

TEST_F(FileStoreTest, ViewsOfMoreFilesThanAreKept) {
  const std::size_t n_files = FileStore::kMaxMappings + 20;
  std::vector<Buffer> views;
  for (std::size_t i = 0; i < n_files; ++i) {
    const std::string text = std::to_string(i);
    std::ofstream(path_of(text)) << text;
    views.push_back(store_.view(text).value());
  }
  for (std::size_t i = 0; i < n_files; ++i) EXPECT_EQ(as_text(views[i]), std::to_string(i));
  EXPECT_NE(store_.view("0")->data(), views[0].data());
  EXPECT_NO_THROW(store_.check_views());
}

TEST_F(FileStoreTest, ManyThreadsViewAndReplace) {
  store_.write("key", as_bytes("0"));
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        if (t == 0 && i % 10 == 0) store_.write("key", as_bytes("0"));
        EXPECT_EQ(as_text(store_.view("key").value()), "0");
        store_.check_views();
      }
    });
  }
}

TEST_F(FileStoreTest, SurvivesAFileCutShortUnderAView) {
  const std::string ones(100'000, '\1');
  store_.write("cut", as_bytes(ones));
  store_.write("whole", as_bytes(ones));
  Buffer cut = store_.view("cut").value();
  const Buffer whole = store_.view("whole").value();
  EXPECT_EQ(sum(cut), 100'000);

  fs::resize_file(path_of("cut"), 8192);
  EXPECT_NO_THROW(store_.check_views()) << "nobody has seen it yet";
  EXPECT_EQ(sum(cut), 8192) << "the rest is zeros";
  EXPECT_EQ(sum(whole), 100'000);
  for (int i = 0; i < 2; ++i) {
    try {
      store_.check_views();
      FAIL() << "no error";
    } catch (const StoreError& error) {
      EXPECT_NE(std::string(error.what()).find("/cut"), std::string::npos) << error.what();
    }
  }

  // Who drops the view and asks again gets what there is, and another store was never concerned.
  EXPECT_NO_THROW(FileStore(directory_.path()).check_views());
  cut = Buffer();
  EXPECT_EQ(sum(store_.view("cut").value()), 8192);
  EXPECT_NO_THROW(store_.check_views());
}

TEST_F(FileStoreTest, ACutIsOverWhenItsViewsAre) {
  const std::string ones(100'000, '\1');
  store_.write("cut", as_bytes(ones));
  store_.write("whole", as_bytes(ones));
  {
    const Buffer cut = store_.view("cut").value();
    fs::resize_file(path_of("cut"), 8192);
    EXPECT_EQ(sum(cut), 8192);
    EXPECT_THROW(store_.check_views(), StoreError);
  }
  EXPECT_EQ(sum(store_.view("whole").value()), 100'000);
  EXPECT_NO_THROW(store_.check_views()) << "nobody uses the broken mapping any more";
  // One more break is noticed as the first was.
  const Buffer whole = store_.view("whole").value();
  fs::resize_file(path_of("whole"), 8192);
  EXPECT_EQ(sum(whole), 8192);
  EXPECT_THROW(store_.check_views(), StoreError);
}

TEST_F(FileStoreTest, ManyThreadsMeetTheSameCut) {
  const std::string ones(1 << 20, '\1');
  store_.write("cut", as_bytes(ones));
  const Buffer view = store_.view("cut").value();
  fs::resize_file(path_of("cut"), 0);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { EXPECT_EQ(sum(view), 0); });
  threads.clear();
  EXPECT_THROW(store_.check_views(), StoreError);
}

TEST_F(FileStoreTest, ReadingAFileThatIsCutShortIsAnError) {
  store_.write("key", as_bytes("0123456789"));
  const std::vector<ByteRange> ranges = {{8, 10}};
  fs::resize_file(path_of("key"), 9);
  EXPECT_THROW(store_.read_ranges("key", ranges), StoreError);
}

sigjmp_buf after_fault;
void leave_fault(int) { siglongjmp(after_fault, 1); }

// In a process of its own, because the earlier handler must be in place before ours.
TEST(MappedFileDeathTest, PassesOtherFaultsToTheEarlierHandler) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fault_elsewhere = [] {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    std::ofstream(path) << std::string(10'000, 'x');
    signal(SIGBUS, leave_fault);
    FileStore store(directory.path());
    const auto ours = store.view("file");
    const int descriptor = ::open(path.c_str(), O_RDONLY);
    void* theirs = ::mmap(nullptr, 10'000, PROT_READ, MAP_SHARED, descriptor, 0);
    fs::resize_file(path, 0);
    if (sigsetjmp(after_fault, 1) == 0) {
      static_cast<void>(*static_cast<volatile char*>(theirs));
      std::_Exit(1);
    }
    std::_Exit(sum(*ours) == 0 && MappedFile::broken_mappings() == 1 ? 42 : 2);
  };
  EXPECT_EXIT(fault_elsewhere(), testing::ExitedWithCode(42), "");
}

TEST(MappedFileDeathTest, EndsTheProcessWhereNobodyHandlesTheFault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fault_elsewhere = [] {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    std::ofstream(path) << std::string(10'000, 'x');
    signal(SIGBUS, SIG_DFL);
    FileStore store(directory.path());
    const auto ours = store.view("file");
    const int descriptor = ::open(path.c_str(), O_RDONLY);
    void* theirs = ::mmap(nullptr, 10'000, PROT_READ, MAP_SHARED, descriptor, 0);
    fs::resize_file(path, 0);
    static_cast<void>(*static_cast<volatile char*>(theirs));
    std::_Exit(1);
  };
  EXPECT_EXIT(fault_elsewhere(), testing::KilledBySignal(SIGBUS), "");
}

// As Python's faulthandler does it: hands back what was there before, then sends the signal again.
struct sigaction before_later;
void later_handler(int signal_number) {
  static_cast<void>(!::write(STDERR_FILENO, "later handler\n", 14));
  sigaction(signal_number, &before_later, nullptr);
  raise(signal_number);
}
void install_later_handler() {
  struct sigaction action = {};
  action.sa_handler = later_handler;
  action.sa_flags = SA_NODEFER;
  sigaction(SIGBUS, &action, &before_later);
}

TEST(MappedFileDeathTest, SurvivesAHandlerThatCameLater) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto cut_after_another_handler = [] {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/";
    for (const char* name : {"first", "second"}) std::ofstream(path + name) << std::string(10'000, 'x');
    FileStore store(directory.path());
    const auto first = store.view("first");
    install_later_handler();
    const auto second = store.view("second");
    for (const char* name : {"first", "second"}) fs::resize_file(path + name, 0);
    std::_Exit(sum(*first) == 0 && sum(*second) == 0 ? 42 : 2);
  };
  EXPECT_EXIT(cut_after_another_handler(), testing::ExitedWithCode(42), "");
}

#if !defined(__SANITIZE_THREAD__)  // which keeps handlers of its own in between, and the fault comes back for ever
TEST(MappedFileDeathTest, PassesOtherFaultsToAHandlerThatCameLaterAndHandsThemBack) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fault_elsewhere = [] {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/file";
    for (const std::string& name : {path, path + "2"}) std::ofstream(name) << std::string(10'000, 'x');
    signal(SIGBUS, SIG_DFL);
    FileStore store(directory.path());
    const auto ours = store.view("file");
    install_later_handler();
    const auto also_ours = store.view("file2");
    const int descriptor = ::open(path.c_str(), O_RDONLY);
    void* theirs = ::mmap(nullptr, 10'000, PROT_READ, MAP_SHARED, descriptor, 0);
    fs::resize_file(path, 0);
    static_cast<void>(*static_cast<volatile char*>(theirs));
    std::_Exit(1);
  };
  EXPECT_EXIT(fault_elsewhere(), testing::KilledBySignal(SIGBUS), "later handler");
}
#endif

}  // namespace
}  // namespace hox
