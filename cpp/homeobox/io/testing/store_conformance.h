// The contract of Store as one test suite. Instantiate it for an implementation or a wrapper:
//
//   INSTANTIATE_TEST_SUITE_P(MemoryStore, StoreConformance,
//                            testing::Values([] { return std::make_shared<MemoryStore>(); }));
//
// tests/unit/test_stores.py runs the same contract on the stores of homeobox._core.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "homeobox/io/store.h"

namespace hox {

// Makes an empty store.
using StoreFactory = std::function<std::shared_ptr<Store>()>;

class StoreConformance : public testing::TestWithParam<StoreFactory> {
 protected:
  std::shared_ptr<Store> store_ = GetParam()();
};

inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string as_text(const Buffer& buffer) {
  return std::string(reinterpret_cast<const char*>(buffer.data()), buffer.size());
}

// A directory of its own, removed at the end of its life.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace hox
