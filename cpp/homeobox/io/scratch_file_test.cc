#include "homeobox/io/scratch_file.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <vector>

#include "homeobox/base/error.h"

namespace hox {
namespace {

class ScratchFileTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  const std::string directory_ = testing::TempDir() + "hox_scratch_file_test";
};

std::vector<std::byte> pattern(std::size_t n, unsigned seed) {
  std::vector<std::byte> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>((i * 31 + seed) & 0xff);
  return bytes;
}

TEST_F(ScratchFileTest, GivesBackWhatWasAppendedAndHasNoName) {
  ScratchFile file(directory_);
  const auto first = pattern(1000, 1);
  const auto second = pattern(70'000, 2);
  EXPECT_EQ(file.append(first), 0U);
  EXPECT_EQ(file.append(second), 1000U);
  EXPECT_EQ(file.append({}), 71'000U);
  EXPECT_EQ(file.size(), 71'000U);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
  std::vector<std::byte> read(second.size());
  file.read(1000, read);
  EXPECT_EQ(read, second);
  read.resize(10);
  file.read(990, read);
  EXPECT_TRUE(std::equal(read.begin(), read.end(), first.end() - 10));
}

TEST_F(ScratchFileTest, ReportsAMissingDirectoryAndItsEnd) {
  EXPECT_THROW(ScratchFile(directory_ + "/nowhere"), StoreError);
  ScratchFile file(directory_);
  file.append(pattern(10, 3));
  std::array<std::byte, 4> beyond{};
  EXPECT_THROW(file.read(8, beyond), StoreError);
}

}  // namespace
}  // namespace hox
