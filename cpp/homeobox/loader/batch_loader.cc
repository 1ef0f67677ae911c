#include "homeobox/loader/batch_loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>
#include <stop_token>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/base/interrupt.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/convert.h"
#include "homeobox/ragged/row_decoder.h"

namespace hox::loader {
namespace {

using ragged::kNoGroup;

// One batch per thread in decoding, one per thread decoded and waiting.
constexpr std::size_t kBatchesPerThread = 2;

constexpr std::uint64_t round_up(std::uint64_t n_bytes) noexcept { return (n_bytes + 63) / 64 * 64; }

void check_groups(std::span<const ragged::GatherGroup> groups, DataType dtype) {
  for (const ragged::GatherGroup& group : groups) {
    if (group.columns->drops_features())
      fail<InvalidArgument>("loader: group of array {} leaves features out, which batches do not support",
                            group.indices->path());
    if (group.columns->n_columns() != groups.front().columns->n_columns())
      fail<InvalidArgument>("loader: {} columns, but the map of {} has {}", groups.front().columns->n_columns(),
                            group.indices->path(), group.columns->n_columns());
    ragged::check_conversion(group.values->metadata().dtype, dtype);
  }
}

// Ranges are checked once here, so that no batch has to.
void check_cells(std::span<const ragged::GatherGroup> groups, const CellPointers& cells) {
  if (cells.begins.size() != cells.groups.size() || cells.lengths.size() != cells.groups.size())
    fail<InvalidArgument>("loader: {} cells, but {} begins and {} lengths", cells.groups.size(), cells.begins.size(),
                          cells.lengths.size());
  if (cells.groups.size() > std::numeric_limits<std::uint32_t>::max())
    fail<InvalidArgument>("loader: {} cells, more than 2^32 - 1", cells.groups.size());
  for (std::size_t i = 0; i < cells.groups.size(); ++i) {
    if (cells.groups[i] == kNoGroup) continue;
    if (cells.groups[i] < 0 || static_cast<std::size_t>(cells.groups[i]) >= groups.size())
      fail<OutOfRange>("loader: cell {} is in group {}, but there are {}", i, cells.groups[i], groups.size());
    const auto& shape = groups[static_cast<std::size_t>(cells.groups[i])].indices->metadata().shape;
    const std::int64_t n_elements = shape.size() == 1 ? static_cast<std::int64_t>(shape[0]) : 0;
    if (cells.begins[i] < 0 || cells.begins[i] > n_elements ||
        n_elements - cells.begins[i] < static_cast<std::int64_t>(cells.lengths[i]))
      fail<OutOfRange>("loader: cell {} is elements {} to {} of a group of {}", i, cells.begins[i],
                       cells.begins[i] + cells.lengths[i], n_elements);
  }
}

}  // namespace

// What a task needs to know of one batch.
struct BatchLoader::Plan {
  std::vector<std::uint32_t> cells;
  std::uint64_t n_entries = 0;
  std::uint64_t offsets_bytes = 0;
  std::uint64_t indices_bytes = 0;
  std::uint64_t values_bytes = 0;
  std::uint64_t total_bytes() const noexcept { return offsets_bytes + indices_bytes + values_bytes; }
};

struct BatchLoader::InFlight {
  Plan plan;
  std::shared_ptr<RawBuffer> memory;
  // Guarded by Shared::mutex.
  bool done = false;
  std::shared_ptr<const Batch> batch;
  std::exception_ptr error;
};

// Read by tasks; immutable but for the signalling.
struct BatchLoader::Shared {
  std::vector<ragged::GatherGroup> groups;
  CellPointers cells;
  LoaderOptions options;
  bool views = true;
  std::vector<ragged::LoadedGroup> viewed;  // with views: one source per group serves every batch
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable_any changed;

  std::int64_t n_columns() const noexcept { return groups.empty() ? 0 : groups.front().columns->n_columns(); }

  // The chunks of one batch, fetched.
  std::vector<ragged::LoadedGroup> fetch(const Plan& plan, const ReadOptions& read_options) const {
    std::vector<std::vector<std::int64_t>> begins(groups.size());
    std::vector<std::vector<std::int64_t>> ends(groups.size());
    for (const std::uint32_t cell : plan.cells) {
      if (cells.groups[cell] == kNoGroup) continue;
      const auto group = static_cast<std::size_t>(cells.groups[cell]);
      begins[group].push_back(cells.begins[cell]);
      ends[group].push_back(cells.begins[cell] + cells.lengths[cell]);
    }
    std::vector<ragged::LoadedGroup> loaded;
    loaded.reserve(groups.size());
    for (std::size_t i = 0; i < groups.size(); ++i)
      loaded.push_back({ragged::RangeSource(groups[i].indices, begins[i], ends[i], read_options),
                        ragged::RangeSource(groups[i].values, begins[i], ends[i], read_options),
                        groups[i].columns.get()});
    return loaded;
  }

  std::shared_ptr<const Batch> decode(InFlight& work, std::span<const ragged::LoadedGroup> loaded) const {
    const std::vector<std::uint32_t>& wanted = work.plan.cells;
    auto batch = std::make_shared<Batch>();
    std::byte* const memory = work.memory->data();
    auto* const offsets = reinterpret_cast<std::int64_t*>(memory);
    auto* const indices = reinterpret_cast<std::uint32_t*>(memory + work.plan.offsets_bytes);
    std::byte* const values = memory + work.plan.offsets_bytes + work.plan.indices_bytes;
    std::vector<std::int32_t> group_of_cell(wanted.size());
    std::vector<std::int64_t> begins(wanted.size());
    std::vector<std::int64_t> ends(wanted.size());
    offsets[0] = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::uint32_t cell = wanted[i];
      group_of_cell[i] = cells.groups[cell];
      begins[i] = cells.begins[cell];
      ends[i] = begins[i] + (cells.groups[cell] == kNoGroup ? 0 : cells.lengths[cell]);
      offsets[i + 1] = offsets[i] + ends[i] - begins[i];
    }
    batch->offsets = {offsets, wanted.size() + 1};
    batch->indices = {reinterpret_cast<const std::int32_t*>(indices), work.plan.n_entries};
    batch->values = {values, work.plan.n_entries * element_bytes(options.dtype)};
    ragged::RowDecoder decoder(n_columns(), options.dtype, options.row_order);
    decoder.decode_cells(loaded, {group_of_cell, begins, ends}, 0, wanted.size(), batch->offsets, indices, values);
    for (const ragged::GatherGroup& group : groups) group.indices->store().check_views();
    batch->cells = std::move(work.plan.cells);
    batch->memory = std::move(work.memory);
    return batch;
  }

  // Runs `make` unless stopped, and signals whoever waits for `work`. Never throws: it is the body of a task.
  template <class Make>
  void complete(InFlight& work, Make make) noexcept {
    std::shared_ptr<const Batch> batch;
    std::exception_ptr error;
    try {
      check_stop(stop.get_token());
      batch = make();
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    work.batch = std::move(batch);
    work.error = std::move(error);
    work.done = true;
    changed.notify_all();
  }
};

BatchLoader::BatchLoader(std::vector<ragged::GatherGroup> groups, CellPointers cells, LoaderOptions options)
    : shared_(std::make_shared<Shared>()), order_(0, false), pool_(std::make_shared<BufferPool>(options.memory_bytes)) {
  if (options.batch_size == 0) fail<InvalidArgument>("loader: a batch size of 1 or more expected, found 0");
  check_groups(groups, options.dtype);
  check_cells(groups, cells);
  order_ = EpochOrder(static_cast<std::uint32_t>(cells.groups.size()), options.shuffle);
  shared_->groups = std::move(groups);
  shared_->cells = std::move(cells);
  shared_->options = options;
  for (const ragged::GatherGroup& group : shared_->groups)
    shared_->views = shared_->views && group.indices->has_views() && group.values->has_views();
  if (shared_->views) shared_->viewed = shared_->fetch({}, {});
  restart(0);
}

BatchLoader::~BatchLoader() {
  // Tasks hold on to shared_ and end by themselves; those not yet begun see the stop.
  shared_->stop.request_stop();
}

std::uint64_t BatchLoader::n_cells() const noexcept { return shared_->cells.groups.size(); }

const LoaderOptions& BatchLoader::options() const noexcept { return shared_->options; }

std::uint64_t BatchLoader::n_batches() const noexcept {
  const std::uint64_t batch_size = shared_->options.batch_size;
  return shared_->options.drop_last ? n_cells() / batch_size : (n_cells() + batch_size - 1) / batch_size;
}

void BatchLoader::restart(std::uint64_t epoch) {
  in_flight_.clear();  // their tasks finish unheard and give their memory back
  waiting_.reset();
  order_.restart(shared_->options.seed, epoch);
}

bool BatchLoader::submit_next() {
  const LoaderOptions& options = shared_->options;
  if (!waiting_) {
    if (order_.remaining() == 0 || (options.drop_last && order_.remaining() < options.batch_size)) return false;
    const auto cells = order_.next(options.batch_size);
    waiting_ = std::make_unique<Plan>();
    waiting_->cells.assign(cells.begin(), cells.end());
    for (const std::uint32_t cell : cells)
      if (shared_->cells.groups[cell] != kNoGroup) waiting_->n_entries += shared_->cells.lengths[cell];
    waiting_->offsets_bytes = round_up((cells.size() + 1) * sizeof(std::int64_t));
    waiting_->indices_bytes = round_up(waiting_->n_entries * sizeof(std::int32_t));
    waiting_->values_bytes = round_up(waiting_->n_entries * element_bytes(options.dtype));
  }
  auto memory = pool_->lease(waiting_->total_bytes());
  // The user holds everything that the budget allows and asks for more: one batch at a time goes beyond it.
  if (!memory && in_flight_.empty()) memory = pool_->lease_beyond_budget(waiting_->total_bytes());
  if (!memory) return false;
  auto work = std::make_shared<InFlight>();
  work->plan = std::move(*waiting_);
  waiting_.reset();
  work->memory = std::move(memory);
  in_flight_.push_back(work);
  if (shared_->views) {
    Runtime::cpu().submit(
        [shared = shared_, work] { shared->complete(*work, [&] { return shared->decode(*work, shared->viewed); }); });
  } else {
    Runtime::io().submit([shared = shared_, work] {
      try {
        check_stop(shared->stop.get_token());
        auto loaded = std::make_shared<const std::vector<ragged::LoadedGroup>>(
            shared->fetch(work->plan, {shared->stop.get_token()}));
        Runtime::cpu().submit(
            [shared, work, loaded] { shared->complete(*work, [&] { return shared->decode(*work, *loaded); }); });
      } catch (...) {
        shared->complete(*work, [error = std::current_exception()]() -> std::shared_ptr<const Batch> {
          std::rethrow_exception(error);
        });
      }
    });
  }
  return true;
}

void BatchLoader::top_up() {
  const std::size_t depth = kBatchesPerThread * Runtime::cpu().n_threads();
  while (in_flight_.size() < depth && submit_next()) {
  }
}

std::shared_ptr<const Batch> BatchLoader::next() {
  top_up();
  if (in_flight_.empty()) return nullptr;
  const std::shared_ptr<InFlight> first = in_flight_.front();
  {
    std::unique_lock lock(shared_->mutex);
    interruptible_wait(shared_->changed, lock, {}, [&] { return first->done; });
  }
  in_flight_.pop_front();
  if (first->error) {
    in_flight_.clear();
    waiting_.reset();
    order_.finish();
    std::rethrow_exception(first->error);
  }
  top_up();
  return std::move(first->batch);
}

}  // namespace hox::loader
