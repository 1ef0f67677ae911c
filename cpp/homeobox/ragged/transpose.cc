#include "homeobox/ragged/transpose.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/io/unmapped_store.h"
#include "homeobox/ragged/column_map.h"
#include "homeobox/ragged/column_writer.h"
#include "homeobox/ragged/run_maker.h"
#include "homeobox/ragged/sparse_group.h"

namespace hox::ragged {
namespace {

std::uint64_t flat_elements(const zarr::Array& array) {
  const auto& shape = array.metadata().shape;
  if (shape.size() != 1) fail<CorruptData>("array {}: one dimension expected, {} found", array.path(), shape.size());
  return shape[0];
}

void check_row_bounds(std::span<const std::int64_t> bounds, const zarr::Array& indices) {
  if (bounds.empty() || bounds.front() != 0) fail<InvalidArgument>("row_bounds: 0 expected first");
  if (bounds.size() - 1 > std::uint64_t{1} << 32)
    fail<InvalidArgument>("row_bounds: at most 2^32 cells expected, found {}", bounds.size() - 1);
  const auto drop = std::is_sorted_until(bounds.begin(), bounds.end());
  if (drop != bounds.end())
    fail<InvalidArgument>("row_bounds: cell {} ends at {}, before it begins", drop - bounds.begin() - 1, *drop);
  const std::uint64_t n_entries = flat_elements(indices);
  if (static_cast<std::uint64_t>(bounds.back()) != n_entries)
    fail<OutOfRange>("row_bounds: the cells hold {} entries, array {} has {}", bounds.back(), indices.path(),
                     n_entries);
}

// Throws CorruptData unless the stored order is a permutation of the features.
void check_order(std::span<const std::uint32_t> local_of_stored, std::uint32_t n_features) {
  if (local_of_stored.empty()) return;
  std::vector<std::int32_t> identity(n_features);
  std::iota(identity.begin(), identity.end(), 0);
  static_cast<void>(ColumnMap(local_of_stored, identity, n_features));
}

class Transposition {
 public:
  explicit Transposition(const TransposeJob& job)
      : job_(job),
        group_(std::make_shared<const SparseGroup>(std::make_shared<UnmappedStore>(job.store), job.group,
                                                   job.indices_path, job.feature_order_path)) {
    open_source();
    if (!job.rows && job.known_bounds.size() != std::uint64_t{job.n_features} + 1)
      fail<InvalidArgument>("known_bounds: {} entries expected, found {}", std::uint64_t{job.n_features} + 1,
                            job.known_bounds.size());
    make_writers();
  }

  std::vector<zarr::StoredObject> run() {
    TransposePlan plan = plan_transpose(shape_, job_.memory_bytes);
    // A chunk that two blocks share may be decoded by both.
    const std::uint64_t chunk_elements = source_.indices->chunk_elements();
    if (plan.block_entries > chunk_elements) plan.block_entries -= plan.block_entries % chunk_elements;
    RunStore runs(job_.n_features, plan.held_bytes, job_.scratch_directory);
    RunMaker(source_, plan)
        .make_runs(
            runs, [this](std::uint64_t n) { report(n); }, job_.stop);
    const std::vector<std::int64_t> bounds = feature_bounds(runs.totals());
    if (!job_.rows) check_known_bounds(bounds);
    write_columns(
        runs, targets_, plan, [this](std::uint64_t n) { report(shape_.n_entries + n); }, job_.stop);
    return finish(bounds);
  }

 private:
  void open_source() {
    source_.indices = {group_, &group_->indices()};
    check_row_bounds(job_.row_bounds, *source_.indices);
    shape_.n_entries = flat_elements(*source_.indices);
    shape_.n_features = job_.n_features;
    shape_.n_workers = Runtime::cpu().n_threads() + 1;  // the thread that starts a loop helps
    source_.row_bounds = job_.row_bounds;
    source_.n_features = job_.n_features;
    check_order(group_->feature_order(), job_.n_features);
    source_.local_of_stored = group_->feature_order();
    for (const TransposedLayer& layer : job_.layers) {
      const auto array = group_->layer(layer.source);
      if (flat_elements(*array) != shape_.n_entries)
        fail<CorruptData>("array {}: {} elements expected, as many as array {} has, found {}", array->path(),
                          shape_.n_entries, source_.indices->path(), flat_elements(*array));
      source_.layers.push_back(array);
    }
  }

  void make_writers() {
    if (job_.rows) targets_.rows = make_writer(*job_.rows, DataType::kUint32, shape_.n_entries);
    for (std::size_t i = 0; i < source_.layers.size(); ++i) {
      const DataType dtype = source_.layers[i]->metadata().dtype;
      targets_.layers.push_back(make_writer(job_.layers[i].target, dtype, shape_.n_entries));
      targets_.layer_dtypes.push_back(dtype);
      shape_.value_bytes += element_bytes(dtype);
    }
    if (job_.rows)
      bounds_writer_ = make_writer(job_.feature_bounds, DataType::kInt64, std::uint64_t{job_.n_features} + 1);
  }

  std::unique_ptr<zarr::ArrayWriter> make_writer(const NewArray& array, DataType dtype, std::uint64_t n_elements) {
    zarr::ArrayOptions options;
    options.dtype = dtype;
    options.shape = {n_elements};
    options.chunk_shape = {array.chunk_elements};
    if (array.shard_elements) options.shard_shape = {{*array.shard_elements}};
    options.codecs = array.codecs;
    shape_.writer_bytes += writer_memory(dtype, array.shard_elements.value_or(array.chunk_elements), n_elements);
    return std::make_unique<zarr::ArrayWriter>(job_.store, store_path(array), options);
  }

  // What an ArrayWriter holds: elements that wait to be encoded, and encoded shards: one in the making, one that is
  // put together and, unless the store is slow, at most two that are being written. Whole numbers rarely take two
  // bytes, floats rarely all of theirs.
  static std::uint64_t writer_memory(DataType dtype, std::uint64_t shard_elements, std::uint64_t n_elements) {
    constexpr std::uint64_t kWaitingBytes = std::uint64_t{16} << 20;
    constexpr std::uint64_t kShards = 4;
    const std::uint64_t bytes = element_bytes(dtype);
    const std::uint64_t encoded_bytes = info(dtype).kind == 'f' ? bytes / 2 + 1 : 2;
    return std::min(kWaitingBytes, n_elements * bytes) +
           encoded_bytes * std::min(kShards * shard_elements, n_elements + shard_elements);
  }

  std::string store_path(const NewArray& array) const { return fmt::format("{}/{}", job_.group, array.path); }

  static std::vector<std::int64_t> feature_bounds(std::span<const std::uint64_t> totals) {
    std::vector<std::int64_t> bounds = {0};
    bounds.reserve(totals.size() + 1);
    for (const std::uint64_t total : totals) bounds.push_back(bounds.back() + static_cast<std::int64_t>(total));
    return bounds;
  }

  void check_known_bounds(std::span<const std::int64_t> bounds) const {
    const auto [own, known] = std::mismatch(bounds.begin(), bounds.end(), job_.known_bounds.begin());
    if (own != bounds.end())
      fail<CorruptData>("array {}: entry {} is {}, but array {} gives {}", store_path(job_.feature_bounds),
                        own - bounds.begin(), *known, source_.indices->path(), *own);
  }

  std::vector<zarr::StoredObject> finish(std::span<const std::int64_t> bounds) {
    std::vector<zarr::StoredObject> objects;
    const auto add = [&objects](zarr::ArrayWriter& writer) {
      const std::vector<zarr::StoredObject>& written = writer.finish();
      objects.insert(objects.end(), written.begin(), written.end());
    };
    if (targets_.rows) add(*targets_.rows);
    for (const auto& layer : targets_.layers) add(*layer);
    if (bounds_writer_) {
      bounds_writer_->append(std::as_bytes(bounds), bounds.size());
      add(*bounds_writer_);
    }
    return objects;
  }

  void report(std::uint64_t n_done) const {
    if (job_.on_progress) job_.on_progress(n_done);
  }

  const TransposeJob& job_;
  const std::shared_ptr<const SparseGroup> group_;
  CsrSource source_;
  TransposeShape shape_{};
  ColumnArrays targets_;
  std::unique_ptr<zarr::ArrayWriter> bounds_writer_;
};

}  // namespace

std::vector<zarr::StoredObject> transpose_csr(const TransposeJob& job) { return Transposition(job).run(); }

}  // namespace hox::ragged
