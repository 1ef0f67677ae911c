#include "homeobox/zarr/json.h"

#include "homeobox/base/error.h"

namespace hox::zarr {
namespace {

constexpr int kMaxNesting = 64;

}  // namespace

Json parse_json(std::string_view text, std::string_view where) {
  const auto check_nesting = [where](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMaxNesting) fail<CorruptData>("{}: JSON nested more than {} deep", where, kMaxNesting);
    return true;
  };
  try {
    return Json::parse(text, check_nesting);
  } catch (const Json::parse_error& error) {
    // Its message quotes the input, which need not be text at all.
    fail<CorruptData>("{}: not JSON at byte {} of {}", where, error.byte, text.size());
  } catch (const Json::exception& error) {
    fail<CorruptData>("{}: not JSON: {}", where, error.what());
  }
}

std::string dump_json(const Json& json) { return json.dump(2, ' ', true); }

}  // namespace hox::zarr
