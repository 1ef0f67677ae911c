#include "homeobox/zarr/manifest.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "homeobox/base/error.h"
#include "homeobox/codec/kernels/crc32c.h"
#include "homeobox/zarr/json.h"
#include "homeobox/zarr/node.h"

namespace hox::zarr {
namespace {

constexpr int kManifestVersion = 1;

std::string hexadecimal(std::uint32_t checksum) { return fmt::format("{:08x}", checksum); }

std::uint32_t parse_checksum(const Json& line) {
  const std::string text = line.at("crc32c").get<std::string>();
  std::uint32_t checksum = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), checksum, 16);
  if (text.size() != 8 || error != std::errc() || end != text.data() + text.size())
    fail<CorruptData>("a crc32c of 8 hexadecimal digits expected, found \"{}\"", text);
  return checksum;
}

// get<std::uint64_t>() would take negative and fractional numbers as well.
std::uint64_t parse_size(const Json& line) {
  const Json& size = line.at("bytes");
  if (!size.is_number_unsigned()) fail<CorruptData>("a number of bytes expected, found {}", size.dump(-1, ' ', true));
  return size.get<std::uint64_t>();
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<StoredObject> parse_manifest(std::string_view text, std::string_view group_path) {
  const std::vector<std::string_view> lines = split_lines(text);
  if (lines.size() < 2) fail<CorruptData>("at least 2 lines expected, found {}", lines.size());
  // The checksum first: afterwards every other mistake is the writer's.
  const std::string_view covered = text.substr(0, static_cast<std::size_t>(lines.back().data() - text.data()));
  const std::uint32_t stored = parse_checksum(parse_json(lines.back(), "last line"));
  const std::uint32_t computed = codec::crc32c(std::as_bytes(std::span(covered)));
  if (stored != computed) fail<CorruptData>("checksum {:08x} stored, {:08x} computed", stored, computed);
  const Json head = parse_json(lines.front(), "first line");
  if (head.at("homeobox_manifest") != kManifestVersion)
    fail<Unsupported>("version {} expected, found {}", kManifestVersion, head.at("homeobox_manifest").dump());
  if (head.at("objects") != lines.size() - 2)
    fail<CorruptData>("{} objects expected, found {}", head.at("objects").dump(), lines.size() - 2);
  std::vector<StoredObject> objects;
  objects.reserve(lines.size() - 2);
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
    const Json line = parse_json(lines[i], "object line");
    objects.push_back(
        {join_path(group_path, line.at("key").get<std::string>()), parse_size(line), parse_checksum(line)});
    if (objects.size() > 1 && objects.back().key <= objects[objects.size() - 2].key)
      fail<CorruptData>("ascending keys expected, found {} after {}", objects.back().key,
                        objects[objects.size() - 2].key);
  }
  return objects;
}

}  // namespace

StoredObject write_manifest(Store& store, std::string_view group_path, std::span<const StoredObject> objects) {
  const std::string prefix = join_path(group_path, "");
  std::vector<StoredObject> sorted(objects.begin(), objects.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  std::string text = Json{{"homeobox_manifest", kManifestVersion}, {"objects", sorted.size()}}.dump() + '\n';
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const StoredObject& object = sorted[i];
    if (!object.key.starts_with(prefix))
      fail<InvalidArgument>("manifest of {}: a key below the group expected, found {}", group_path, object.key);
    if (i > 0 && object.key == sorted[i - 1].key)
      fail<InvalidArgument>("manifest of {}: {} is listed twice", group_path, object.key);
    const Json line = {
        {"key", object.key.substr(prefix.size())}, {"bytes", object.n_bytes}, {"crc32c", hexadecimal(object.crc32c)}};
    text += line.dump(-1, ' ', true) + '\n';
  }
  const std::uint32_t checksum = codec::crc32c(std::as_bytes(std::span(text)));
  text += Json{{"crc32c", hexadecimal(checksum)}}.dump() + '\n';
  return write_object(store, join_path(group_path, kManifestName), std::as_bytes(std::span(text)));
}

std::optional<std::vector<StoredObject>> read_manifest(const Store& store, std::string_view group_path) {
  const auto bytes = store.read(join_path(group_path, kManifestName));
  if (!bytes) return std::nullopt;
  try {
    return parse_manifest({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, group_path);
  } catch (const CorruptData& error) {
    fail<CorruptData>("manifest of {}: {}", group_path, error.what());
  } catch (const Unsupported& error) {
    fail<Unsupported>("manifest of {}: {}", group_path, error.what());
  } catch (const nlohmann::json::exception& error) {
    fail<CorruptData>("manifest of {}: {}", group_path, error.what());
  }
}

std::shared_ptr<const Manifest> Manifest::read(const Store& store, std::string_view group_path) {
  auto objects = read_manifest(store, group_path);
  if (!objects) return nullptr;
  return std::shared_ptr<const Manifest>(new Manifest(std::move(*objects)));
}

const StoredObject* Manifest::find(std::string_view key) const noexcept {
  const auto found = std::lower_bound(objects_.begin(), objects_.end(), key,
                                      [](const StoredObject& object, std::string_view k) { return object.key < k; });
  return found == objects_.end() || found->key != key ? nullptr : &*found;
}

std::optional<std::string> size_mismatch(const StoredObject* listed, std::optional<std::uint64_t> n_bytes) {
  if (listed == nullptr)
    return n_bytes ? std::optional(fmt::format("not in the manifest, but {} bytes are there", *n_bytes)) : std::nullopt;
  if (!n_bytes) return fmt::format("{} bytes expected by the manifest, but there is no such object", listed->n_bytes);
  if (*n_bytes == listed->n_bytes) return std::nullopt;
  return fmt::format("{} bytes expected by the manifest, found {}", listed->n_bytes, *n_bytes);
}

std::optional<std::string> mismatch(const StoredObject* listed, std::span<const std::byte> bytes) {
  if (auto difference = size_mismatch(listed, bytes.size())) return difference;
  const std::uint32_t computed = codec::crc32c(bytes);
  if (computed == listed->crc32c) return std::nullopt;
  return fmt::format("checksum {:08x} expected by the manifest, {:08x} computed", listed->crc32c, computed);
}

}  // namespace hox::zarr
