#include "homeobox/codec/configuration.h"

#include "homeobox/base/error.h"

namespace hox::codec {
namespace {

const nlohmann::json kNull;

}  // namespace

Configuration::Configuration(std::string_view codec_name, const nlohmann::json& json)
    : codec_name_(codec_name), json_(json) {
  if (!json.is_object() && !json.is_null())
    fail<InvalidArgument>("codec {}: an object expected as configuration, found {}", codec_name_, json.type_name());
}

const nlohmann::json* Configuration::find(const char* member) {
  known_.insert(member);
  if (!json_.is_object()) return nullptr;
  const auto found = json_.find(member);
  return found == json_.end() ? nullptr : &*found;
}

std::optional<std::int64_t> Configuration::integer(const char* member, std::int64_t least, std::int64_t most) {
  const nlohmann::json* value = find(member);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer() ||
      (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) ||
      value->get<std::int64_t>() < least || value->get<std::int64_t>() > most)
    fail<InvalidArgument>("codec {}: an integer from {} to {} expected as {}, found {}", codec_name_, least, most,
                          member, value->dump());
  return value->get<std::int64_t>();
}

std::int64_t Configuration::require_integer(const char* member, std::int64_t least, std::int64_t most) {
  const auto value = integer(member, least, most);
  if (!value) fail<InvalidArgument>("codec {}: {} is missing", codec_name_, member);
  return *value;
}

std::optional<bool> Configuration::boolean(const char* member) {
  const nlohmann::json* value = find(member);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean())
    fail<InvalidArgument>("codec {}: true or false expected as {}, found {}", codec_name_, member, value->dump());
  return value->get<bool>();
}

std::optional<std::string> Configuration::text(const char* member) {
  const nlohmann::json* value = find(member);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string())
    fail<InvalidArgument>("codec {}: a string expected as {}, found {}", codec_name_, member, value->dump());
  return value->get<std::string>();
}

const nlohmann::json& Configuration::any(const char* member) {
  const nlohmann::json* value = find(member);
  return value == nullptr ? kNull : *value;
}

void Configuration::finish() const {
  if (!json_.is_object()) return;
  for (const auto& [member, value] : json_.items())
    if (!known_.contains(member))
      fail<InvalidArgument>("codec {}: unknown member {} in its configuration", codec_name_, member);
}

}  // namespace hox::codec
