// What a request to a local store and a loop on the pool cost: view, read_ranges and read of FileStore, parallel_for.
//
// Files are warm (in the page cache), so the numbers are system calls, copies and page faults.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "homeobox/base/runtime.h"
#include "homeobox/io/file_store.h"

namespace {

using hox::ByteRange;
using hox::FileStore;

constexpr std::uint64_t kObjectBytes = 64U << 20U;

// A store with one object, "shard", removed at exit.
class WarmStore {
 public:
  WarmStore() {
    std::string name = (std::filesystem::temp_directory_path() / "hox-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = name;
    store_ = std::make_unique<FileStore>(path_);
    const std::vector<std::byte> bytes(kObjectBytes, std::byte{1});
    store_->write("group/csr/indices/c/0", bytes);
  }
  ~WarmStore() { std::filesystem::remove_all(path_); }

  FileStore& store() { return *store_; }

 private:
  std::string path_;
  std::unique_ptr<FileStore> store_;
};

constexpr const char* kKey = "group/csr/indices/c/0";

FileStore& warm_store() {
  static WarmStore warm;
  return warm.store();
}

void BM_View(benchmark::State& state) {
  FileStore& store = warm_store();
  for (auto _ : state) benchmark::DoNotOptimize(store.view(kKey));
}
BENCHMARK(BM_View);

void BM_CheckViews(benchmark::State& state) {
  FileStore& store = warm_store();
  const auto view = store.view(kKey);
  for (auto _ : state) store.check_views();
}
BENCHMARK(BM_CheckViews);

std::vector<ByteRange> random_ranges(std::size_t n_ranges, std::uint64_t range_bytes) {
  std::mt19937_64 random(1);
  std::vector<ByteRange> ranges(n_ranges);
  for (ByteRange& range : ranges) {
    range.begin = random() % (kObjectBytes - range_bytes);
    range.end = range.begin + range_bytes;
  }
  return ranges;
}

// Arguments: ranges per call, bytes per range.
void BM_ReadRanges(benchmark::State& state) {
  FileStore& store = warm_store();
  const auto ranges =
      random_ranges(static_cast<std::size_t>(state.range(0)), static_cast<std::uint64_t>(state.range(1)));
  for (auto _ : state) benchmark::DoNotOptimize(store.read_ranges(kKey, ranges));
  state.SetBytesProcessed(state.iterations() * state.range(0) * state.range(1));
}
BENCHMARK(BM_ReadRanges)->Args({1, 4096})->Args({1, 262144})->Args({64, 4096})->Args({64, 65536})->Args({1, 16 << 20});

// The same bytes through a view, for comparison: copied out of the mapping.
void BM_CopyFromView(benchmark::State& state) {
  FileStore& store = warm_store();
  const auto ranges =
      random_ranges(static_cast<std::size_t>(state.range(0)), static_cast<std::uint64_t>(state.range(1)));
  for (auto _ : state) {
    const hox::Buffer view = *store.view(kKey);
    for (const ByteRange& range : ranges)
      benchmark::DoNotOptimize(hox::Buffer::copy(view.slice(range.begin, range.end).bytes()));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0) * state.range(1));
}
BENCHMARK(BM_CopyFromView)
    ->Args({1, 4096})
    ->Args({1, 262144})
    ->Args({64, 4096})
    ->Args({64, 65536})
    ->Args({1, 16 << 20});

void BM_ReadWhole(benchmark::State& state) {
  FileStore& store = warm_store();
  for (auto _ : state) benchmark::DoNotOptimize(store.read(kKey));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kObjectBytes));
}
BENCHMARK(BM_ReadWhole);

// Argument: calls of the body, which does nothing.
void BM_ParallelFor(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    hox::parallel_for(hox::Runtime::cpu(), n, [](std::size_t i) { benchmark::DoNotOptimize(i); });
  }
}
BENCHMARK(BM_ParallelFor)->Arg(1)->Arg(2)->Arg(64)->Arg(4096)->UseRealTime();

}  // namespace
