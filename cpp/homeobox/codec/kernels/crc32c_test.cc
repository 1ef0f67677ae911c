#include "homeobox/codec/kernels/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>
#include <vector>

namespace hox::codec {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Crc32c, EqualsThePublishedCheckValues) {
  EXPECT_EQ(crc32c_plain(bytes_of("123456789")), 0xe3069283);
  EXPECT_EQ(crc32c_plain(std::vector<std::byte>(32)), 0x8a9136aa);  // RFC 3720, B.4
  EXPECT_EQ(crc32c_plain(std::vector<std::byte>(32, std::byte{0xff})), 0x62a8ab43);
  EXPECT_EQ(crc32c({}), 0);
}

TEST(Crc32c, TheInstructionEqualsTheTableForEveryLengthAndStart) {
  std::mt19937 random(7);
  std::vector<std::byte> data(1100);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t length = 0; begin + length <= data.size(); ++length) {
      const auto bytes = std::span<const std::byte>(data).subspan(begin, length);
      ASSERT_EQ(crc32c(bytes), crc32c_plain(bytes)) << "from " << begin << ", " << length << " bytes";
    }
  }
}

TEST(Crc32c, ContinuesWhereAnotherCallStopped) {
  const auto whole = bytes_of("a checksum over two pieces is the checksum of the whole");
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    EXPECT_EQ(crc32c(whole.subspan(cut), crc32c(whole.first(cut))), crc32c_plain(whole));
    EXPECT_EQ(crc32c_plain(whole.subspan(cut), crc32c_plain(whole.first(cut))), crc32c_plain(whole));
  }
}

}  // namespace
}  // namespace hox::codec
