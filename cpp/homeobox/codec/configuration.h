// Configuration: the "configuration" object of one codec in zarr.json, read member by member.
//
// Every member is asked for by name and type; finish() refuses the ones that nobody asked for, because a member that
// we do not know may change the meaning of the bytes. All failures are InvalidArgument and name codec and member.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace hox::codec {

class Configuration {
 public:
  // `json` is an object or null; it must outlive this.
  Configuration(std::string_view codec_name, const nlohmann::json& json);

  std::optional<std::int64_t> integer(const char* member, std::int64_t least, std::int64_t most);
  std::optional<bool> boolean(const char* member);
  std::optional<std::string> text(const char* member);
  // The member as it is, or null.
  const nlohmann::json& any(const char* member);

  std::int64_t require_integer(const char* member, std::int64_t least, std::int64_t most);

  void finish() const;

 private:
  const nlohmann::json* find(const char* member);

  std::string codec_name_;
  const nlohmann::json& json_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace hox::codec
