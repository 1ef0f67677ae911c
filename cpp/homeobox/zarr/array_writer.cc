#include "homeobox/zarr/array_writer.h"

#include <algorithm>
#include <utility>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/codec/chain.h"
#include "homeobox/zarr/chunk_grid.h"
#include "homeobox/zarr/metadata.h"
#include "homeobox/zarr/node.h"
#include "homeobox/zarr/shard_encoder.h"
#include "homeobox/zarr/write_behind.h"

namespace hox::zarr {
namespace {

// Rows are encoded when so many bytes of them are there, or a shard is complete: enough chunks for every thread.
constexpr std::uint64_t kGroupBytes = std::uint64_t{4} << 20;

// What the codecs say of themselves, which leaves out what only steers the writer, with members in the caller's order.
Json stored_codecs(const codec::CodecChain& chain, const Json& given) {
  Json result = Json::array();
  const nlohmann::json codecs = chain.to_json();
  for (std::size_t i = 0; i < codecs.size(); ++i) {
    const nlohmann::json& own = codecs[i];
    Json entry = {{"name", own["name"]}};
    if (own.contains("configuration")) {
      Json configuration = Json::object();
      if (given[i].is_object() && given[i].contains("configuration"))
        for (const auto& [member, value] : given[i]["configuration"].items())
          if (own["configuration"].contains(member)) configuration[member] = own["configuration"][member];
      for (const auto& [member, value] : own["configuration"].items()) configuration[member] = value;
      entry["configuration"] = std::move(configuration);
    }
    result.push_back(std::move(entry));
  }
  return result;
}

codec::CodecChain make_chain(const ArrayOptions& options, std::string_view path) {
  try {
    return codec::CodecChain::parse(options.codecs, codec::make_chunk_spec(options.dtype, options.chunk_shape));
  } catch (const InvalidArgument& error) {
    fail<InvalidArgument>("array {}: {}", path, error.what());
  } catch (const Unsupported& error) {
    fail<Unsupported>("array {}: {}", path, error.what());
  }
}

ArrayMetadata make_metadata(const ArrayOptions& options, const codec::CodecChain& chain, std::string_view path) {
  ArrayMetadata metadata;
  metadata.shape = options.shape;
  metadata.dtype = options.dtype;
  metadata.is_sharded = options.shard_shape.has_value();
  metadata.shard_shape = options.shard_shape.value_or(options.chunk_shape);
  metadata.chunk_shape = options.chunk_shape;
  metadata.fill_value.resize(element_bytes(options.dtype));
  metadata.codecs = stored_codecs(chain, options.codecs);
  metadata.index_encoding.at_end = options.index_at_end;
  metadata.attributes = options.attributes;
  if (metadata.shape.empty()) fail<InvalidArgument>("array {}: at least one axis expected", path);
  try {
    // One set of checks for what we write and what we read.
    return ArrayMetadata::parse(metadata.to_text(), path);
  } catch (const CorruptData& error) {
    fail<InvalidArgument>("{}", error.what());
  }
}

}  // namespace

struct ArrayWriter::Impl {
  Impl(std::shared_ptr<Store> store_in, std::string_view path_in, const ArrayOptions& options)
      : store(std::move(store_in)),
        path(path_in),
        chain(make_chain(options, path_in)),
        metadata(make_metadata(options, chain, path_in)),
        grid(ChunkGrid::make(metadata)),
        encoder(metadata, chain, grid),
        writes(store) {
    shard_index_bytes(grid.chunks_per_shard(), metadata.index_encoding);  // must not overflow later
    total_rows = metadata.shape[0];
    row_bytes = metadata.fill_value.size();
    for (std::size_t axis = 1; axis < metadata.shape.size(); ++axis) row_bytes *= metadata.shape[axis];
    const std::uint64_t chunk_rows = metadata.chunk_shape[0];
    const std::uint64_t bands = ceil_divide(kGroupBytes, std::max<std::uint64_t>(1, chunk_rows * row_bytes));
    group_rows = chunk_rows * std::min(std::max<std::uint64_t>(1, bands), metadata.shard_shape[0] / chunk_rows);
    if (store->size(join_path(path, kMetadataName))) fail<Conflict>("array {} is there already", path);
  }

  // The row at which the group that begins at `row` ends: no further than its shards do.
  std::uint64_t group_end(std::uint64_t row) const {
    const std::uint64_t shard_rows = metadata.shard_shape[0];
    const std::uint64_t shard_end = (row / shard_rows + 1) * shard_rows;
    return std::min({row + group_rows, shard_end, total_rows});
  }

  void check_usable() const {
    if (finished) fail<InvalidArgument>("array {}: finished already", path);
    if (broken) fail<InvalidArgument>("array {}: an earlier append failed", path);
  }

  void encode_group(std::span<const std::byte> rows, std::uint64_t row_begin, std::uint64_t row_end) {
    broken = true;  // until this has succeeded
    const std::uint64_t shard_row = row_begin / metadata.shard_shape[0];
    if (row_begin % metadata.shard_shape[0] == 0) encoder.start(shard_row * grid.shards_per_row());
    const std::uint64_t first_band = row_begin / metadata.chunk_shape[0];
    const std::uint64_t n_bands = ceil_divide(row_end, metadata.chunk_shape[0]) - first_band;
    const std::uint64_t first_chunk = first_band * grid.chunks_per_row();
    const auto encode = [&](std::size_t i) { encoder.encode_chunk(first_chunk + i, rows, row_begin, row_end); };
    parallel_for(Runtime::cpu(), n_bands * grid.chunks_per_row(), encode);
    if (row_end % metadata.shard_shape[0] == 0 || row_end == total_rows) write_shards(shard_row);
    broken = false;
  }

  void write_shards(std::uint64_t shard_row) {
    for (std::uint64_t i = 0; i < grid.shards_per_row(); ++i) {
      const std::uint64_t shard = shard_row * grid.shards_per_row() + i;
      auto object = encoder.take_object(shard);
      if (!object) continue;
      objects.push_back(describe_object(join_path(path, grid.shard_key(shard)), *object));
      writes.write(objects.back().key, std::move(*object));
    }
  }

  std::shared_ptr<Store> store;
  std::string path;
  codec::CodecChain chain;
  ArrayMetadata metadata;
  ChunkGrid grid;
  ShardEncoder encoder;
  WriteBehind writes;
  std::uint64_t total_rows = 0;
  std::uint64_t row_bytes = 0;
  std::uint64_t group_rows = 0;
  // Rows that wait for the rest of their group, which begins at row `group_begin`.
  codec::Bytes pending;
  std::uint64_t group_begin = 0;
  std::uint64_t taken_rows = 0;
  bool finished = false;
  bool broken = false;
  std::vector<StoredObject> objects;
};

ArrayWriter::ArrayWriter(std::shared_ptr<Store> store, std::string_view path, const ArrayOptions& options)
    : impl_(std::make_unique<Impl>(std::move(store), path, options)) {}
ArrayWriter::~ArrayWriter() = default;

const std::vector<StoredObject>& ArrayWriter::objects() const noexcept { return impl_->objects; }
std::uint64_t ArrayWriter::rows_wanted() const noexcept {
  return impl_->group_end(impl_->group_begin) - impl_->taken_rows;
}
std::uint64_t ArrayWriter::n_rows() const noexcept { return impl_->taken_rows; }

void ArrayWriter::append(std::span<const std::byte> rows, std::uint64_t n_rows) {
  Impl& impl = *impl_;
  impl.check_usable();
  if (n_rows > impl.total_rows - impl.taken_rows)
    fail<InvalidArgument>("array {}: {} rows expected in all, {} appended to {}", impl.path, impl.total_rows, n_rows,
                          impl.taken_rows);
  if (rows.size() != n_rows * impl.row_bytes)
    fail<InvalidArgument>("array {}: {} rows of {} bytes expected, found {} bytes", impl.path, n_rows, impl.row_bytes,
                          rows.size());
  // Rows without elements have no chunks.
  if (impl.row_bytes == 0) impl.taken_rows += n_rows;
  while (!rows.empty()) {
    const std::uint64_t group_end = impl.group_end(impl.group_begin);
    const std::uint64_t missing_bytes = (group_end - impl.taken_rows) * impl.row_bytes;
    const auto part = rows.first(std::min<std::uint64_t>(rows.size(), missing_bytes));
    rows = rows.subspan(part.size());
    impl.taken_rows += part.size() / impl.row_bytes;
    const bool straight = impl.pending.empty() && part.size() == missing_bytes;
    if (!straight) impl.pending.insert(impl.pending.end(), part.begin(), part.end());
    if (part.size() < missing_bytes) continue;
    impl.encode_group(straight ? part : std::span<const std::byte>(impl.pending), impl.group_begin, group_end);
    impl.pending.clear();
    impl.group_begin = group_end;
  }
}

const std::vector<StoredObject>& ArrayWriter::finish() {
  Impl& impl = *impl_;
  impl.check_usable();
  if (impl.taken_rows != impl.total_rows)
    fail<InvalidArgument>("array {}: {} rows expected, {} appended", impl.path, impl.total_rows, impl.taken_rows);
  impl.broken = true;
  impl.writes.wait();
  const std::string text = impl.metadata.to_text();
  const std::string key = join_path(impl.path, kMetadataName);
  // The constructor saw none, but another writer of this path may have been faster.
  if (!impl.store->create(key, std::as_bytes(std::span(text))))
    fail<Conflict>("array {}: another writer has finished it meanwhile, and its chunks may be of both", impl.path);
  impl.objects.push_back(describe_object(key, std::as_bytes(std::span(text))));
  impl.broken = false;
  impl.finished = true;
  return impl.objects;
}

}  // namespace hox::zarr
