// A FileArray that Python can close, whoever still refers to it.
#pragma once

#include <memory>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/io/file_array.h"

namespace hox::bindings {

// With the GIL held. Whoever works without it keeps what file() gave.
class PythonFileArray {
 public:
  explicit PythonFileArray(std::shared_ptr<const FileArray> file) : file_(std::move(file)) {}

  std::shared_ptr<const FileArray> file() const {
    if (file_ == nullptr) fail<InvalidArgument>("the array was closed");
    return file_;
  }
  void close() noexcept { file_.reset(); }

 private:
  std::shared_ptr<const FileArray> file_;
};

}  // namespace hox::bindings
