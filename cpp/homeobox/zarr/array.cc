#include "homeobox/zarr/array.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/io/mapped_file.h"
#include "homeobox/zarr/join_ranges.h"
#include "homeobox/zarr/node.h"
#include "homeobox/zarr/shard_cache.h"

namespace hox::zarr {
namespace {

// Other encoders may spend more bytes than ours, but not without bound.
std::uint64_t max_extent_bytes(const codec::CodecChain& chain) { return 4 * chain.max_encoded_bytes() + (1U << 20); }

codec::CodecChain parse_chain(const ArrayMetadata& metadata, std::string_view path) {
  try {
    return codec::CodecChain::parse(metadata.codecs, codec::make_chunk_spec(metadata.dtype, metadata.chunk_shape));
  } catch (const InvalidArgument& error) {
    fail<CorruptData>("array {}: zarr.json: {}", path, error.what());
  } catch (const Unsupported& error) {
    fail<Unsupported>("array {}: zarr.json: {}", path, error.what());
  }
}

ChunkGrid make_grid(const ArrayMetadata& metadata, std::string_view path) {
  try {
    ChunkGrid grid = ChunkGrid::make(metadata);
    shard_index_bytes(grid.chunks_per_shard(), metadata.index_encoding);  // must not overflow later
    if (grid.n_shards() > ShardCache::kMaxShards)
      fail<Unsupported>("array {}: zarr.json: {} shards, more than {}", path, grid.n_shards(), ShardCache::kMaxShards);
    return grid;
  } catch (const InvalidArgument& error) {
    fail<CorruptData>("array {}: zarr.json: {}", path, error.what());
  }
}

}  // namespace

struct Array::Impl {
  Impl(std::shared_ptr<const Store> store_in, std::string_view path_in, ArrayMetadata metadata_in,
       std::shared_ptr<const Manifest> manifest_in)
      : store(std::move(store_in)),
        path(path_in),
        metadata(std::move(metadata_in)),
        chain(parse_chain(metadata, path)),
        grid(make_grid(metadata, path)),
        manifest(std::move(manifest_in)),
        mappings(metadata.is_sharded && store->view(join_path(path, kMetadataName))
                     ? MappingQuota::take(grid.n_shards())
                     : std::nullopt),
        shards(grid.n_shards()),
        has_views(mappings.has_value()) {}

  std::string shard_key(std::uint64_t shard) const { return join_path(path, grid.shard_key(shard)); }

  [[noreturn]] void fail_in_shard(std::uint64_t shard, const std::string& message) const {
    if (has_views) store->check_views();
    fail<CorruptData>("array {}, shard {}: {}", path, shard_key(shard), message);
  }

  // Holds a shard against the manifest; nullopt: there is no such object.
  void check_shard(std::uint64_t shard, std::optional<std::uint64_t> n_bytes) const {
    if (!manifest) {
      // Who removes an array removes its metadata first. As long as that is there, a missing shard is fill values.
      if (!n_bytes && !store->size(join_path(path, kMetadataName)))
        fail<NotFound>("array {} was removed while it was being read", path);
      return;
    }
    if (const auto difference = size_mismatch(manifest->find(shard_key(shard)), n_bytes))
      fail_in_shard(shard, *difference);
  }
  // An unsharded chunk, which is read as a whole and may have no checksum of its own.
  void check_shard_bytes(std::uint64_t shard, std::span<const std::byte> bytes) const {
    if (!manifest) return;
    if (const auto difference = mismatch(manifest->find(shard_key(shard)), bytes)) fail_in_shard(shard, *difference);
  }

  std::vector<ChunkExtent> parse_index(std::uint64_t shard, std::span<const std::byte> bytes,
                                       std::uint64_t object_bytes) const {
    try {
      return parse_shard_index(bytes, grid.chunks_per_shard(), metadata.index_encoding, object_bytes,
                               max_extent_bytes(chain));
    } catch (const CorruptData& error) {
      fail_in_shard(shard, error.what());
    }
  }

  // The object of a sharded array as addressable memory, with its index.
  LoadedShard load_view(std::uint64_t shard) const {
    const std::string key = shard_key(shard);
    std::optional<Buffer> object = store->view(key);
    // No view may also mean that this one object has none.
    if (!object) object = store->read(key);
    if (!object) {
      check_shard(shard, std::nullopt);
      return {};
    }
    const std::uint64_t size = object->size();
    check_shard(shard, size);
    const std::uint64_t index_bytes =
        std::min(size, shard_index_bytes(grid.chunks_per_shard(), metadata.index_encoding));
    const std::uint64_t begin = metadata.index_encoding.at_end ? size - index_bytes : 0;
    std::vector<ChunkExtent> extents = parse_index(shard, object->bytes().subspan(begin, index_bytes), size);
    store->check_views();
    return {std::move(*object), std::move(extents)};
  }

  LoadedShard load_index(std::uint64_t shard, const ReadOptions& options) const {
    const std::string key = shard_key(shard);
    const std::uint64_t index_bytes = shard_index_bytes(grid.chunks_per_shard(), metadata.index_encoding);
    if (metadata.index_encoding.at_end) {
      const auto suffix = store->read_suffix(key, index_bytes, options);
      check_shard(shard, suffix ? std::optional(suffix->object_bytes) : std::nullopt);
      if (!suffix) return {};
      return {{}, parse_index(shard, suffix->bytes.bytes(), suffix->object_bytes)};
    }
    const auto size = store->size(key);
    check_shard(shard, size);
    if (!size) return {};
    const ByteRange range{0, std::min(*size, index_bytes)};
    const auto head = store->read_ranges(key, std::span(&range, 1), options);
    if (!head) fail<StoreError>("array {}, shard {}: gone while its index was read", path, key);
    return {{}, parse_index(shard, head->front().bytes(), *size)};
  }

  const LoadedShard& viewed_shard(std::uint64_t shard) const {
    return shards.get(shard, [&] { return load_view(shard); }, {});
  }

  // Fetches the chunks at `locations`, all of one shard, into `out`, which is parallel to them. Returns the bytes that
  // they keep in memory, those between joined chunks too.
  std::uint64_t fetch_shard(std::span<const ChunkLocation> locations, std::span<EncodedChunk*> out,
                            const ReadOptions& options) const {
    const std::uint64_t shard = locations.front().shard;
    if (!metadata.is_sharded) {
      auto object = store->read(shard_key(shard), options);
      if (!object) {
        check_shard(shard, std::nullopt);
        return 0;
      }
      check_shard_bytes(shard, object->bytes());
      const std::uint64_t n_bytes = object->size();
      *out.front() = {std::move(*object), true};
      return n_bytes;
    }
    const LoadedShard& loaded = shards.get(
        shard, [&] { return load_index(shard, options); }, options.stop);
    std::vector<std::pair<ByteRange, EncodedChunk*>> wanted;
    for (std::size_t i = 0; i < locations.size(); ++i) {
      if (locations[i].slot >= loaded.extents.size()) continue;
      const ChunkExtent& extent = loaded.extents[locations[i].slot];
      if (extent.present()) wanted.push_back({{extent.begin, extent.end()}, out[i]});
    }
    if (wanted.empty()) return 0;
    std::sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.first.begin < b.first.begin; });
    std::vector<ByteRange> ranges;
    for (const auto& entry : wanted) ranges.push_back(entry.first);
    const JoinedRanges joined = join_ranges(ranges);
    const auto answers = store->read_ranges(shard_key(shard), joined.requests, options);
    if (!answers) fail<StoreError>("array {}, shard {}: gone since its index was read", path, shard_key(shard));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::size_t request = joined.request_of[i];
      const std::uint64_t base = joined.requests[request].begin;
      *wanted[i].second = {(*answers)[request].slice(ranges[i].begin - base, ranges[i].end - base), true};
    }
    std::uint64_t n_bytes = 0;
    for (const ByteRange& request : joined.requests) n_bytes += request.end - request.begin;
    return n_bytes;
  }

  std::shared_ptr<const Store> store;
  std::string path;
  ArrayMetadata metadata;
  codec::CodecChain chain;
  ChunkGrid grid;
  std::shared_ptr<const Manifest> manifest;  // nullptr unless it lists this array
  std::optional<MappingQuota> mappings;      // given back after those of `shards`
  mutable ShardCache shards;
  bool has_views;
};

Array::Array(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Array::~Array() = default;

std::shared_ptr<const Array> Array::open(std::shared_ptr<const Store> store, std::string_view path,
                                         std::shared_ptr<const Manifest> manifest) {
  const std::string key = join_path(path, kMetadataName);
  const auto text = store->read(key);
  // An array that the manifest does not list was added by another program, which need not know of manifests.
  const StoredObject* listed = manifest ? manifest->find(key) : nullptr;
  if (listed == nullptr) manifest = nullptr;
  if (listed != nullptr) {
    const auto difference = text ? mismatch(listed, text->bytes()) : size_mismatch(listed, std::nullopt);
    if (difference) fail<CorruptData>("array {}: zarr.json: {}", path, *difference);
  }
  if (!text) fail<NotFound>("no array {} in {}", path, store->describe());
  const auto* characters = reinterpret_cast<const char*>(text->data());
  ArrayMetadata metadata = ArrayMetadata::parse({characters, text->size()}, path);
  return std::shared_ptr<const Array>(
      new Array(std::make_unique<Impl>(std::move(store), path, std::move(metadata), std::move(manifest))));
}

const ArrayMetadata& Array::metadata() const noexcept { return impl_->metadata; }
const codec::CodecChain& Array::chain() const noexcept { return impl_->chain; }
const ChunkGrid& Array::grid() const noexcept { return impl_->grid; }
const std::string& Array::path() const noexcept { return impl_->path; }
const Store& Array::store() const noexcept { return *impl_->store; }
std::uint64_t Array::chunk_elements() const noexcept { return impl_->grid.chunk_elements(); }
std::uint64_t Array::n_chunks() const noexcept { return impl_->grid.n_chunks(); }
bool Array::has_views() const noexcept { return impl_->has_views; }

ChunkView Array::view_chunk(std::uint64_t chunk) const {
  const Impl& impl = *impl_;
  if (chunk >= impl.grid.n_chunks())
    fail<OutOfRange>("array {}: chunk {} of {}", impl.path, chunk, impl.grid.n_chunks());
  const ChunkLocation location = impl.grid.locate(chunk);
  const LoadedShard* loaded = impl.shards.find(location.shard);
  if (loaded == nullptr) loaded = &impl.viewed_shard(location.shard);
  if (location.slot >= loaded->extents.size()) return {};
  const ChunkExtent& extent = loaded->extents[location.slot];
  if (!extent.present()) return {};
  return {{loaded->object.data() + extent.begin, extent.n_bytes}, true};
}

FetchedChunks Array::fetch_chunks(std::span<const std::uint64_t> chunks, const ReadOptions& options) const {
  const Impl& impl = *impl_;
  FetchedChunks fetched;
  std::vector<EncodedChunk>& answers = fetched.chunks;
  answers.resize(chunks.size());
  std::vector<std::pair<ChunkLocation, EncodedChunk*>> wanted;
  wanted.reserve(chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (chunks[i] >= n_chunks()) fail<OutOfRange>("array {}: chunk {} of {}", impl.path, chunks[i], n_chunks());
    wanted.emplace_back(impl.grid.locate(chunks[i]), &answers[i]);
  }
  // Chunk order is shard order only where axis 0 alone is chunked.
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const auto& a, const auto& b) { return a.first.shard < b.first.shard; });
  if (impl.has_views) {
    for (const auto& [location, answer] : wanted) {
      const LoadedShard& loaded = impl.viewed_shard(location.shard);
      if (location.slot >= loaded.extents.size()) continue;
      const ChunkExtent& extent = loaded.extents[location.slot];
      if (extent.present()) *answer = {loaded.object.slice(extent.begin, extent.end()), true};
    }
    return fetched;
  }
  std::vector<ChunkLocation> locations;
  std::vector<EncodedChunk*> targets;
  std::vector<std::size_t> shard_begins;
  for (const auto& [location, answer] : wanted) {
    if (locations.empty() || locations.back().shard != location.shard) shard_begins.push_back(locations.size());
    locations.push_back(location);
    targets.push_back(answer);
  }
  shard_begins.push_back(locations.size());
  std::atomic<std::uint64_t> n_bytes = 0;
  const auto fetch_one_shard = [&](std::size_t i, const std::stop_token& stop) {
    const std::size_t begin = shard_begins[i];
    const std::size_t count = shard_begins[i + 1] - begin;
    n_bytes += impl.fetch_shard(std::span(locations).subspan(begin, count), std::span(targets).subspan(begin, count),
                                ReadOptions{.stop = stop});
  };
  parallel_for(Runtime::io(), shard_begins.size() - 1, fetch_one_shard, options.stop);
  fetched.n_bytes = n_bytes;
  return fetched;
}

void Array::rethrow_with_context(std::uint64_t chunk) const {
  const Impl& impl = *impl_;
  try {
    throw;
  } catch (const CorruptData& error) {
    if (impl.has_views) impl.store->check_views();
    fail<CorruptData>("array {}, shard {}, chunk {}: {}", impl.path, impl.shard_key(impl.grid.locate(chunk).shard),
                      chunk, error.what());
  }
}

}  // namespace hox::zarr
