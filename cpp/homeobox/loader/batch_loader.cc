#include "homeobox/loader/batch_loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/base/interrupt.h"
#include "homeobox/base/runtime.h"
#include "homeobox/ragged/loaded_group.h"
#include "homeobox/ragged/row_decoder.h"

namespace hox::loader {
namespace {

using ragged::kNoGroup;

// One batch per thread in decoding, one per thread decoded and waiting.
constexpr std::size_t kBatchesPerThread = 2;

constexpr std::uint64_t round_up(std::uint64_t n_bytes) noexcept { return (n_bytes + 63) / 64 * 64; }

void check_maps(std::span<const ragged::GatherGroup> groups) {
  for (const ragged::GatherGroup& group : groups)
    if (group.columns->drops_features())
      fail<InvalidArgument>("loader: group of array {} leaves features out, which batches do not support",
                            group.indices->path());
}

// Marks the loader as in use for the length of a call. The callers release Python's lock, so two threads can meet.
class InUse {
 public:
  explicit InUse(std::atomic_flag& flag) : flag_(flag) {
    if (flag_.test_and_set()) fail<InvalidArgument>("loader: another thread is taking a batch; one consumer at a time");
  }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;
  ~InUse() { flag_.clear(); }

 private:
  std::atomic_flag& flag_;
};

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
  std::stop_token stop;  // of its epoch
  std::shared_ptr<RawBuffer> memory;
  std::shared_ptr<void> fetch_charge;  // of what will be fetched for it, then of what was; until it is decoded
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
  std::mutex mutex;
  std::condition_variable_any changed;
  // Bytes that the next batch may fetch, from those before; nullopt before the first. Guarded by `mutex`.
  std::optional<std::uint64_t> expected_fetch;

  std::optional<std::uint64_t> expected_fetch_bytes() {
    const std::lock_guard lock(mutex);
    return expected_fetch;
  }

  // Follows a larger fetch at once and smaller ones slowly.
  void note_fetch(std::uint64_t n_bytes) {
    const std::lock_guard lock(mutex);
    const std::uint64_t before = expected_fetch.value_or(0);
    expected_fetch = std::max(n_bytes, before - before / 8);
  }

  std::int64_t n_columns() const noexcept { return groups.empty() ? 0 : groups.front().columns->n_columns(); }

  // Rows of one batch, as the gather takes them.
  struct Rows {
    std::vector<std::int32_t> groups;
    std::vector<std::int64_t> begins;
    std::vector<std::int64_t> ends;
    ragged::CellRanges ranges() const { return {groups, begins, ends}; }
  };
  Rows rows_of(const Plan& plan) const {
    Rows rows;
    for (const std::uint32_t cell : plan.cells) {
      rows.groups.push_back(cells.groups[cell]);
      rows.begins.push_back(cells.begins[cell]);
      rows.ends.push_back(cells.begins[cell] + (cells.groups[cell] == kNoGroup ? 0 : cells.lengths[cell]));
    }
    return rows;
  }

  std::shared_ptr<const Batch> decode(InFlight& work, std::span<const ragged::LoadedGroup> loaded) const {
    const std::vector<std::uint32_t>& wanted = work.plan.cells;
    auto batch = std::make_shared<Batch>();
    std::byte* const memory = work.memory->data();
    auto* const offsets = reinterpret_cast<std::int64_t*>(memory);
    auto* const indices = reinterpret_cast<std::uint32_t*>(memory + work.plan.offsets_bytes);
    std::byte* const values = memory + work.plan.offsets_bytes + work.plan.indices_bytes;
    const Rows rows = rows_of(work.plan);
    offsets[0] = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) offsets[i + 1] = offsets[i] + rows.ends[i] - rows.begins[i];
    batch->offsets = {offsets, wanted.size() + 1};
    batch->indices = {reinterpret_cast<const std::int32_t*>(indices), work.plan.n_entries};
    batch->values = {values, work.plan.n_entries * element_bytes(options.dtype)};
    ragged::RowDecoder decoder(n_columns(), options.dtype, options.row_order);
    decoder.decode_cells(loaded, rows.ranges(), 0, wanted.size(), batch->offsets, indices, values);
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
      check_stop(work.stop);
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

// Fetches the bytes of one batch, which are counted in the budget, then has it decoded.
struct BatchLoader::Fetch {
  std::shared_ptr<Shared> shared;
  std::shared_ptr<InFlight> work;
  std::shared_ptr<BufferPool> pool;

  void operator()() const {
    try {
      check_stop(work->stop);
      auto loaded = ragged::load_groups(shared->groups, shared->rows_of(work->plan).ranges(), {work->stop});
      std::uint64_t n_bytes = 0;
      for (const ragged::LoadedGroup& group : loaded)
        n_bytes += group.indices.fetched_bytes() + group.values.fetched_bytes();
      work->fetch_charge.reset();  // what was expected
      work->fetch_charge = pool->charge(n_bytes);
      shared->note_fetch(n_bytes);
      Runtime::cpu().submit([shared = shared, work = work,
                             loaded = std::make_shared<std::vector<ragged::LoadedGroup>>(std::move(loaded))] {
        shared->complete(*work, [&] {
          auto batch = shared->decode(*work, *loaded);
          loaded->clear();
          work->fetch_charge.reset();
          return batch;
        });
      });
    } catch (...) {
      shared->complete(*work, [error = std::current_exception()]() -> std::shared_ptr<const Batch> {
        std::rethrow_exception(error);
      });
    }
  }
};

BatchLoader::BatchLoader(std::vector<ragged::GatherGroup> groups, CellPointers cells, LoaderOptions options)
    : shared_(std::make_shared<Shared>()),
      fork_generation_(fork_generation()),
      order_(0, false),
      pool_(std::make_shared<BufferPool>(options.memory_bytes)) {
  if (options.batch_size == 0) fail<InvalidArgument>("loader: a batch size of 1 or more expected, found 0");
  ragged::check_groups(groups, options.dtype);
  check_maps(groups);
  check_pointers(groups, cells);
  order_ = EpochOrder(static_cast<std::uint32_t>(cells.groups.size()), options.shuffle);
  shared_->groups = std::move(groups);
  shared_->cells = std::move(cells);
  shared_->options = options;
  for (const ragged::GatherGroup& group : shared_->groups)
    shared_->views = shared_->views && group.indices->has_views() && group.values->has_views();
  if (shared_->views) shared_->viewed = ragged::load_groups(shared_->groups, {}, {});
  begin_epoch(0);
}

BatchLoader::~BatchLoader() {
  // Tasks hold on to shared_ and end by themselves; those not yet begun see the stop.
  stop_.request_stop();
}

std::uint64_t BatchLoader::n_cells() const noexcept { return shared_->cells.groups.size(); }

const LoaderOptions& BatchLoader::options() const noexcept { return shared_->options; }

std::uint64_t BatchLoader::n_batches() const noexcept {
  const std::uint64_t batch_size = shared_->options.batch_size;
  return shared_->options.drop_last ? n_cells() / batch_size : (n_cells() + batch_size - 1) / batch_size;
}

std::uint64_t BatchLoader::bytes_in_use() const { return pool_->bytes_in_use(); }

void BatchLoader::restart(std::uint64_t epoch) {
  refuse_after_fork(fork_generation_, "a loader");
  const InUse in_use(busy_);
  begin_epoch(epoch);
}

void BatchLoader::begin_epoch(std::uint64_t epoch) {
  give_up();
  order_.restart(shared_->options.seed, epoch);
}

// Tasks in flight stop at their next look and give their memory back; nobody hears of them.
void BatchLoader::give_up() {
  stop_.request_stop();
  stop_ = std::stop_source();
  in_flight_.clear();
  waiting_.reset();
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
  std::uint64_t fetch_bytes = 0;
  if (!shared_->views) {
    const std::optional<std::uint64_t> expected = shared_->expected_fetch_bytes();
    // What fetching takes is known only from batches before, so the first one goes alone.
    if (!expected && !in_flight_.empty()) return false;
    fetch_bytes = expected.value_or(0);
  }
  auto memory = pool_->lease(waiting_->total_bytes(), fetch_bytes);
  // The user holds everything that the budget allows and asks for more: one batch at a time goes beyond it.
  if (!memory && in_flight_.empty()) memory = pool_->lease_beyond_budget(waiting_->total_bytes());
  if (!memory) return false;
  auto work = std::make_shared<InFlight>();
  work->plan = std::move(*waiting_);
  work->memory = std::move(memory);
  if (fetch_bytes != 0) work->fetch_charge = pool_->charge(fetch_bytes);
  work->stop = stop_.get_token();
  waiting_.reset();
  submit(work);
  in_flight_.push_back(std::move(work));
  return true;
}

void BatchLoader::submit(const std::shared_ptr<InFlight>& work) {
  if (shared_->views) {
    Runtime::cpu().submit(
        [shared = shared_, work] { shared->complete(*work, [&] { return shared->decode(*work, shared->viewed); }); });
    return;
  }
  Runtime::io().submit(Fetch{shared_, work, pool_});
}

void BatchLoader::top_up() {
  const std::size_t depth = kBatchesPerThread * Runtime::cpu().n_threads();
  while (in_flight_.size() < depth && submit_next()) {
  }
}

std::shared_ptr<const Batch> BatchLoader::next() {
  refuse_after_fork(fork_generation_, "a loader");
  const InUse in_use(busy_);
  top_up();
  if (in_flight_.empty()) return nullptr;
  const std::shared_ptr<InFlight> first = in_flight_.front();
  {
    std::unique_lock lock(shared_->mutex);
    interruptible_wait(shared_->changed, lock, {}, [&] { return first->done; });
  }
  in_flight_.pop_front();
  if (first->error) {
    give_up();
    order_.finish();
    std::rethrow_exception(first->error);
  }
  top_up();
  return std::move(first->batch);
}

}  // namespace hox::loader
