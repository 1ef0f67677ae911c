#include "homeobox/io/file_array.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "homeobox/base/error.h"

namespace hox {
namespace {

// 10 elements in chunks of 4: the second chunk follows the first, the third lies before them.
class FileArrayTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::uint32_t> words(16);
    for (std::uint32_t i = 0; i < 8; ++i) words[5 + i] = i;
    words[1] = 8;
    words[2] = 9;
    std::ofstream(path_, std::ios::binary).write(reinterpret_cast<const char*>(words.data()), 16 * 4);
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(descriptor_, 0);
  }
  void TearDown() override {
    ::close(descriptor_);
    std::filesystem::remove(path_);
  }
  static std::shared_ptr<const FileArray::Layout> layout(std::uint64_t n_elements = 10,
                                                         std::vector<std::uint64_t> offsets = {20, 36, 4}) {
    return std::make_shared<const FileArray::Layout>(
        FileArray::Layout{"counts", DataType::kUint32, n_elements, 4, std::move(offsets)});
  }
  static std::vector<std::uint32_t> read(const FileArray& array, std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint32_t> values(end - begin);
    array.read(begin, std::as_writable_bytes(std::span(values)));
    return values;
  }

  const std::string path_ = testing::TempDir() + "hox_file_array_test";
  int descriptor_ = -1;
};

TEST_F(FileArrayTest, GivesEveryRangeAlsoAfterTheDescriptorIsClosed) {
  const FileArray array(descriptor_, layout());
  ::close(descriptor_);
  descriptor_ = -1;
  for (std::uint64_t begin = 0; begin <= 10; ++begin)
    for (std::uint64_t end = begin; end <= 10; ++end) {
      std::vector<std::uint32_t> expected(end - begin);
      std::iota(expected.begin(), expected.end(), static_cast<std::uint32_t>(begin));
      array.prefetch(begin, end);
      EXPECT_EQ(read(array, begin, end), expected);
    }
}

TEST_F(FileArrayTest, RefusesWhatLiesOutsideAndFilesThatEndBefore) {
  const FileArray array(descriptor_, layout());
  EXPECT_THROW(read(array, 8, 11), InvalidArgument);
  EXPECT_THROW(read(array, 11, 11), InvalidArgument);
  EXPECT_NO_THROW(array.prefetch(5, 1'000));
  std::filesystem::resize_file(path_, 40);
  EXPECT_EQ(read(array, 0, 5), (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  try {
    read(array, 0, 6);
    FAIL() << "a file of 40 bytes has no sixth element";
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(std::string(error.what()), "counts: the file ends at byte 40, but the array goes on to byte 44");
  }
}

TEST_F(FileArrayTest, RefusesLayoutsThatAreNone) {
  EXPECT_THROW(FileArray(descriptor_, layout(10, {20, 36})), InvalidArgument);
  EXPECT_THROW(FileArray(descriptor_, layout(13)), InvalidArgument);
  EXPECT_THROW(FileArray(descriptor_, layout(10, {20, 36, std::uint64_t{1} << 63})), InvalidArgument);
  EXPECT_THROW(FileArray(-1, layout()), StoreError);
  auto huge = FileArray::Layout{"counts", DataType::kUint8, ~std::uint64_t{0}, std::uint64_t{1} << 62, {0, 0, 0, 0}};
  EXPECT_THROW(FileArray(descriptor_, std::make_shared<const FileArray::Layout>(std::move(huge))), InvalidArgument);
}

}  // namespace
}  // namespace hox
