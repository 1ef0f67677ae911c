// The array layer without a gather on top: finding chunks, reading ranges, reading and writing whole arrays.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "homeobox/io/memory_store.h"
#include "homeobox/zarr/array.h"
#include "homeobox/zarr/array_writer.h"

namespace {

using hox::zarr::Array;
using hox::zarr::Json;

constexpr std::uint64_t kElements = std::uint64_t{16} << 20;
constexpr std::uint64_t kRangeElements = 1400;  // the counts of one cell

// Rows of counts: ascending feature numbers, drawn anew every 1,400 elements.
const std::vector<std::uint32_t>& indices() {
  static const std::vector<std::uint32_t> values = [] {
    std::mt19937 generator(1);
    std::vector<std::uint32_t> result(kElements);
    std::uint32_t feature = 0;
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (i % kRangeElements == 0) feature = 0;
      feature += static_cast<std::uint32_t>(1 + generator() % 46);
      result[i] = feature;
    }
    return result;
  }();
  return values;
}

const char* const kCodecs[] = {
    R"(["bytes"])",
    R"(["bytes", "crc32c"])",
    R"(["bytes", "zstd"])",
    R"(["bytes", {"name": "homeobox.bitpacking", "configuration": {"transform": "delta", "element_size": 4}}])",
    R"([{"name": "homeobox.bp128", "configuration": {"version": 1}}])",
};

void write(const std::shared_ptr<hox::Store>& store, const char* codecs, std::uint64_t shard_elements) {
  hox::zarr::ArrayOptions options;
  options.dtype = hox::DataType::kUint32;
  options.shape = {kElements};
  options.chunk_shape = {4096};
  options.shard_shape = std::vector<std::uint64_t>{shard_elements};
  options.codecs = Json::parse(codecs);
  hox::zarr::ArrayWriter writer(store, "a", options);
  writer.append(std::as_bytes(std::span(indices())), kElements);
  writer.finish();
}

std::shared_ptr<const Array> make_array(const char* codecs, std::uint64_t shard_elements = 4 << 20) {
  auto store = std::make_shared<hox::MemoryStore>();
  write(store, codecs, shard_elements);
  return Array::open(store, "a");
}

std::vector<std::uint64_t> random_numbers(std::size_t n, std::uint64_t below) {
  std::mt19937_64 generator(2);
  std::vector<std::uint64_t> numbers(n);
  for (std::uint64_t& number : numbers) number = generator() % below;
  return numbers;
}

// Argument: elements of a shard. One shard needs no division.
void view_random_chunks(benchmark::State& state) {
  const auto array = make_array(kCodecs[0], static_cast<std::uint64_t>(state.range(0)));
  const std::vector<std::uint64_t> chunks = random_numbers(4096, array->n_chunks());
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(array->view_chunk(chunks[i++ % chunks.size()]));
}
BENCHMARK(view_random_chunks)->Arg(16 << 20)->Arg(4 << 20)->Arg(12288);

// Arguments here and below: number of the codec chain in kCodecs.
void decode_chunks(benchmark::State& state) {
  const auto array = make_array(kCodecs[state.range(0)]);
  std::vector<std::byte> chunk(array->chain().chunk().bytes());
  hox::codec::Scratch scratch;
  std::uint64_t i = 0;
  for (auto _ : state) array->chain().decode(array->view_chunk(i++ % array->n_chunks()).bytes, chunk, scratch);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(chunk.size()));
}
BENCHMARK(decode_chunks)->DenseRange(0, 4);

void read_random_ranges(benchmark::State& state) {
  const auto array = make_array(kCodecs[state.range(0)]);
  std::vector<std::int64_t> begins;
  std::vector<std::int64_t> ends;
  for (const std::uint64_t row : random_numbers(512, kElements / kRangeElements)) {
    begins.push_back(static_cast<std::int64_t>(row * kRangeElements));
    ends.push_back(begins.back() + static_cast<std::int64_t>(kRangeElements));
  }
  std::vector<std::byte> out(begins.size() * kRangeElements * 4);
  for (auto _ : state) array->read_ranges(begins, ends, out);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}
BENCHMARK(read_random_ranges)->DenseRange(0, 4)->UseRealTime();

void read_whole_array(benchmark::State& state) {
  const auto array = make_array(kCodecs[state.range(0)]);
  const std::uint64_t begin = 0;
  std::vector<std::byte> out(kElements * 4);
  for (auto _ : state) array->read(std::span(&begin, 1), array->metadata().shape, out);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}
BENCHMARK(read_whole_array)->DenseRange(0, 4)->UseRealTime();

void write_whole_array(benchmark::State& state) {
  for (auto _ : state) write(std::make_shared<hox::MemoryStore>(), kCodecs[state.range(0)], 4 << 20);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kElements * 4));
}
BENCHMARK(write_whole_array)->DenseRange(0, 4)->UseRealTime();

}  // namespace
