#include "homeobox/io/testing/store_conformance.h"

#include <cstdlib>
#include <filesystem>
#include <latch>
#include <thread>
#include <vector>

#include "homeobox/base/error.h"

namespace hox {

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "hox-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory: " + name);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

namespace {

std::vector<std::string> keys_of(const std::vector<ObjectInfo>& objects) {
  std::vector<std::string> keys;
  for (const ObjectInfo& object : objects) keys.push_back(object.key);
  return keys;
}

}  // namespace

TEST_P(StoreConformance, MissingObjectsAreAnswers) {
  const std::vector<ByteRange> ranges = {{0, 1}};
  EXPECT_FALSE(store_->read("a/missing"));
  EXPECT_FALSE(store_->read_ranges("a/missing", ranges));
  EXPECT_FALSE(store_->read_ranges("a/missing", {}));
  EXPECT_FALSE(store_->read_suffix("a/missing", 4));
  EXPECT_FALSE(store_->view("a/missing"));
  EXPECT_FALSE(store_->size("a/missing"));
  EXPECT_NO_THROW(store_->remove("a/missing"));
  EXPECT_TRUE(store_->list("a/").empty());
}

TEST_P(StoreConformance, ReadsWhatWasWritten) {
  store_->write("group/csr/c/0", as_bytes("hello world"));
  EXPECT_EQ(as_text(store_->read("group/csr/c/0").value()), "hello world");
  EXPECT_EQ(store_->size("group/csr/c/0"), 11U);
  // A directory is no object.
  EXPECT_FALSE(store_->read("group/csr"));
  EXPECT_FALSE(store_->view("group/csr"));
  EXPECT_FALSE(store_->size("group/csr"));
  EXPECT_NO_THROW(store_->remove("group/csr"));
}

TEST_P(StoreConformance, OverwritesWithLongerAndShorter) {
  for (const std::string text : {"first", "a longer second", "3"}) {
    store_->write("key", as_bytes(text));
    EXPECT_EQ(as_text(store_->read("key").value()), text);
    if (const auto view = store_->view("key")) {
      EXPECT_EQ(as_text(*view), text);
    }
  }
}

TEST_P(StoreConformance, AnswersRangesInTheOrderAsked) {
  store_->write("key", as_bytes("0123456789"));
  const std::vector<ByteRange> ranges = {{7, 10}, {0, 3}, {2, 8}, {4, 4}, {10, 10}, {0, 10}};
  const auto slices = store_->read_ranges("key", ranges).value();
  ASSERT_EQ(slices.size(), ranges.size());
  EXPECT_EQ(as_text(slices[0]), "789");
  EXPECT_EQ(as_text(slices[1]), "012");
  EXPECT_EQ(as_text(slices[2]), "234567");
  EXPECT_EQ(as_text(slices[3]), "");
  EXPECT_EQ(as_text(slices[4]), "");
  EXPECT_EQ(as_text(slices[5]), "0123456789");
  EXPECT_TRUE(store_->read_ranges("key", {}).value().empty());
}

TEST_P(StoreConformance, RefusesRangesThatLeaveTheObject) {
  store_->write("key", as_bytes("0123456789"));
  for (const ByteRange range : {ByteRange{0, 11}, ByteRange{11, 11}, ByteRange{20, 30}, ByteRange{0, ~0ULL}}) {
    try {
      store_->read_ranges("key", std::span(&range, 1));
      ADD_FAILURE() << "no error for [" << range.begin << ", " << range.end << ")";
    } catch (const StoreError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("key"), std::string::npos) << message;
      EXPECT_NE(message.find("10"), std::string::npos) << message;
    }
  }
  const std::vector<ByteRange> backwards = {{3, 2}};
  EXPECT_THROW(store_->read_ranges("key", backwards), InvalidArgument);
}

TEST_P(StoreConformance, ReadsSuffixes) {
  store_->write("key", as_bytes("0123456789"));
  const Suffix tail = store_->read_suffix("key", 4).value();
  EXPECT_EQ(as_text(tail.bytes), "6789");
  EXPECT_EQ(tail.object_bytes, 10U);
  EXPECT_EQ(as_text(store_->read_suffix("key", 10).value().bytes), "0123456789");
  EXPECT_EQ(as_text(store_->read_suffix("key", ~0ULL).value().bytes), "0123456789");
  EXPECT_EQ(as_text(store_->read_suffix("key", 0).value().bytes), "");
  EXPECT_EQ(store_->read_suffix("key", 0).value().object_bytes, 10U);
}

TEST_P(StoreConformance, KeepsEmptyObjects) {
  store_->write("empty", {});
  EXPECT_EQ(store_->read("empty").value().size(), 0U);
  EXPECT_EQ(store_->size("empty"), 0U);
  EXPECT_EQ(store_->read_suffix("empty", 8).value().bytes.size(), 0U);
  if (const auto view = store_->view("empty")) {
    EXPECT_EQ(view->size(), 0U);
  }
  EXPECT_FALSE(store_->create("empty", as_bytes("x")));
}

TEST_P(StoreConformance, CreatesOnlyOnce) {
  EXPECT_TRUE(store_->create("a/marker", as_bytes("first")));
  EXPECT_FALSE(store_->create("a/marker", as_bytes("second")));
  EXPECT_EQ(as_text(store_->read("a/marker").value()), "first");
  store_->remove("a/marker");
  EXPECT_TRUE(store_->create("a/marker", as_bytes("third")));
}

TEST_P(StoreConformance, OneOfManyCreatorsWins) {
  constexpr int kWriters = 8;
  std::latch start(kWriters);
  std::vector<std::thread> writers;
  std::vector<int> won(kWriters);
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, i] {
      start.arrive_and_wait();
      won[static_cast<std::size_t>(i)] = store_->create("race/marker", as_bytes(std::to_string(i))) ? 1 : 0;
    });
  }
  for (std::thread& writer : writers) writer.join();
  int winner = -1;
  for (int i = 0; i < kWriters; ++i) {
    if (won[static_cast<std::size_t>(i)] == 0) continue;
    EXPECT_EQ(winner, -1) << "two writers created the object";
    winner = i;
  }
  EXPECT_EQ(as_text(store_->read("race/marker").value()), std::to_string(winner));
}

TEST_P(StoreConformance, ReadersSeeWholeObjects) {
  const std::string even(30'000, 'e');
  const std::string odd(20'000, 'o');
  store_->write("key", as_bytes(even));
  std::jthread writer([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) store_->write("key", as_bytes(i % 2 == 0 ? odd : even));
  });
  for (int i = 0; i < 50; ++i) {
    const std::string text = as_text(store_->read("key").value());
    EXPECT_TRUE(text == even || text == odd);
    if (const auto view = store_->view("key")) {
      const std::string seen = as_text(*view);
      EXPECT_TRUE(seen == even || seen == odd);
    }
  }
  store_->check_views();
}

TEST_P(StoreConformance, ListsByPrefixInKeyOrder) {
  for (const char* key : {"b/c/1", "b/c/0", "a", "b/cd", "b.x", "b/c.z", "c/.hox-manifest"})
    store_->write(key, as_bytes(key));
  using Keys = std::vector<std::string>;
  EXPECT_EQ(keys_of(store_->list("")), (Keys{"a", "b.x", "b/c.z", "b/c/0", "b/c/1", "b/cd", "c/.hox-manifest"}));
  EXPECT_EQ(keys_of(store_->list("b/c")), (Keys{"b/c.z", "b/c/0", "b/c/1", "b/cd"}));
  EXPECT_EQ(keys_of(store_->list("b/c/")), (Keys{"b/c/0", "b/c/1"}));
  EXPECT_EQ(keys_of(store_->list("b/c/0")), (Keys{"b/c/0"}));
  EXPECT_EQ(keys_of(store_->list("b/c/0/")), Keys{});
  EXPECT_EQ(keys_of(store_->list("nothing")), Keys{});
  EXPECT_EQ(store_->list("b/cd").at(0).bytes, 4U);
}

TEST_P(StoreConformance, RemovesOnlyTheObject) {
  store_->write("a/x", as_bytes("x"));
  store_->write("a/y", as_bytes("y"));
  const auto kept = store_->view("a/x");
  store_->remove("a/x");
  EXPECT_FALSE(store_->read("a/x"));
  EXPECT_FALSE(store_->view("a/x"));
  EXPECT_EQ(as_text(store_->read("a/y").value()), "y");
  if (kept) {
    EXPECT_EQ(as_text(*kept), "x");
  }
}

TEST_P(StoreConformance, ViewsOutliveTheStore) {
  store_->write("key", as_bytes("kept alive"));
  const auto view = store_->view("key");
  const auto read = store_->read("key");
  store_.reset();
  EXPECT_EQ(as_text(read.value()), "kept alive");
  if (view) {
    EXPECT_EQ(as_text(*view), "kept alive");
  }
}

TEST_P(StoreConformance, RefusesKeysThatAreNoNames) {
  using namespace std::string_view_literals;
  for (const std::string_view key : {""sv, "/a"sv, "a/"sv, "a//b"sv, ".."sv, "a/../b"sv, "."sv, "a/./b"sv, "a\0b"sv}) {
    EXPECT_THROW(store_->read(key), InvalidArgument) << key;
    EXPECT_THROW(store_->view(key), InvalidArgument) << key;
    EXPECT_THROW(store_->size(key), InvalidArgument) << key;
    EXPECT_THROW(store_->write(key, as_bytes("x")), InvalidArgument) << key;
    EXPECT_THROW(store_->create(key, as_bytes("x")), InvalidArgument) << key;
    EXPECT_THROW(store_->remove(key), InvalidArgument) << key;
  }
  EXPECT_THROW(store_->list("../"), InvalidArgument);
  EXPECT_TRUE(store_->list("").empty());
}

TEST_P(StoreConformance, StopsBeforeReading) {
  store_->write("key", as_bytes("text"));
  std::stop_source source;
  source.request_stop();
  const ReadOptions options{source.get_token()};
  EXPECT_THROW(store_->read("key", options), Cancelled);
  EXPECT_THROW(store_->read_suffix("key", 1, options), Cancelled);
  const std::vector<ByteRange> ranges = {{0, 1}};
  EXPECT_THROW(store_->read_ranges("key", ranges, options), Cancelled);
}

TEST_P(StoreConformance, DescribesItself) { EXPECT_FALSE(store_->describe().empty()); }

}  // namespace hox
