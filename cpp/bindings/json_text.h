// JSON that arrives from Python as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "homeobox/base/error.h"
#include "homeobox/zarr/json.h"

namespace hox::bindings {

// Keeps the order of members. Throws InvalidArgument naming the argument.
inline nlohmann::ordered_json parse_json_argument(const std::string& text, const char* argument) {
  try {
    return zarr::parse_json(text, argument);
  } catch (const CorruptData& error) {
    fail<InvalidArgument>("{}", error.what());
  }
}

}  // namespace hox::bindings
