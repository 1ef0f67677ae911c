// WriteBehind: writes objects on the I/O pool while the caller prepares the next ones.
//
// At most kMaxInFlight objects are held and being written; write() waits for room. The first failure is thrown by the
// next write() or wait(), and nothing is written after it. The destructor waits, so that nothing is written behind
// the back of someone who removes what a failed writer left.
//
// For one thread at a time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "homeobox/io/store.h"

namespace hox::zarr {

class WriteBehind {
 public:
  // A request to a bucket takes longer than encoding a shard, but not four times as long.
  static constexpr std::size_t kMaxInFlight = 4;

  explicit WriteBehind(std::shared_ptr<Store> store) : store_(std::move(store)) {}
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;
  ~WriteBehind();

  void write(std::string key, std::vector<std::byte> bytes);
  // Until everything is written.
  void wait();

 private:
  void write_now(const std::string& key, const std::vector<std::byte>& bytes) noexcept;
  void wait_for(std::size_t most_in_flight);

  std::shared_ptr<Store> store_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable_any changed_;
  std::size_t in_flight_ = 0;
  std::exception_ptr failure_;
};

}  // namespace hox::zarr
