#include "homeobox/base/error.h"

#include <gtest/gtest.h>

#include <string>

namespace hox {
namespace {

TEST(Error, FailFormatsTheMessage) {
  try {
    fail<CorruptData>("shard {}, chunk {}: {} values expected, {} decoded", "c/0", 17, 4096, 4080);
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "shard c/0, chunk 17: 4096 values expected, 4080 decoded");
    EXPECT_NE(dynamic_cast<const CorruptData*>(&error), nullptr);
  }
}

TEST(Error, StoreErrorsSayWhetherToRetry) {
  EXPECT_FALSE(StoreError("disk full").retryable());
  EXPECT_TRUE(StoreError("connection lost", true).retryable());
}

}  // namespace
}  // namespace hox
