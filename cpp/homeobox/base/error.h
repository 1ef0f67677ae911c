// Errors of the core: one short list of exceptions, each with one meaning.
//
// Expected answers (a missing object, an empty range) are return values. An exception says that a promise was
// broken, and its type says whose: the caller's, the stored bytes', the store's, or ours. The layer that knows
// the context (which key, which chunk) adds it once. A message says what, where, expected and found.
//
// bindings/errors.cc maps each type to a Python class; nothing else translates errors.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace hox {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller passed something that cannot be right.
class InvalidArgument : public Error {
 public:
  using Error::Error;
};

// An index or range leaves the array.
class OutOfRange : public Error {
 public:
  using Error::Error;
};

// An array, group, snapshot or table that was named does not exist.
class NotFound : public Error {
 public:
  using Error::Error;
};

// Stored bytes break FORMAT.md or a codec's own format.
class CorruptData : public Error {
 public:
  using Error::Error;
};

// Valid data that this library does not handle, such as an unknown codec.
class Unsupported : public Error {
 public:
  using Error::Error;
};

// Network, disk or access rights. `retryable` says whether the same call may succeed later.
class StoreError : public Error {
 public:
  explicit StoreError(const std::string& message, bool retryable = false) : Error(message), retryable_(retryable) {}
  bool retryable() const noexcept { return retryable_; }

 private:
  bool retryable_;
};

// A commit lost a race against another writer.
class Conflict : public Error {
 public:
  using Error::Error;
};

// The caller asked to stop (Ctrl-C or a stop token).
class Cancelled : public Error {
 public:
  using Error::Error;
};

// Throws `E` with a formatted message; keeps the throw out of hot code.
template <class E, class... Args>
[[noreturn]] [[gnu::cold]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw E(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace hox
