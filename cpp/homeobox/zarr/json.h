// The JSON of zarr.json: objects keep the order of their members, because we write the text that zarr-python writes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hox::zarr {

using Json = nlohmann::ordered_json;

// Bounds the nesting, so that no later recursion over the value can exhaust the stack. Throws CorruptData.
Json parse_json(std::string_view text, std::string_view where);

// As Python's json.dumps(value, indent=2).
std::string dump_json(const Json& json);

}  // namespace hox::zarr
