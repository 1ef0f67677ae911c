// Speed of the packing codecs on chunks of one core: encode, decode whole, decode a row's worth.
//
// Data as in the published loader benchmarks: ascending genes of cells (20,000 genes, 7 %) and counts 1 +
// geometric(0.3). items_per_second is values per second.

#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "homeobox/codec/chain.h"

namespace {

using hox::DataType;
using hox::codec::Bytes;
using hox::codec::CodecChain;
using hox::codec::Scratch;

constexpr std::size_t kGenes = 20000;

template <class T>
std::vector<T> genes(std::size_t n) {
  std::mt19937 random(1);
  std::geometric_distribution<std::uint32_t> gap(0.07);
  std::vector<T> values(n);
  std::size_t gene = 0;
  for (T& value : values) {
    gene += gap(random) + 1;
    if (gene > kGenes) gene = gap(random) + 1;
    value = static_cast<T>(gene - 1);
  }
  return values;
}

template <class T>
std::vector<T> counts(std::size_t n) {
  std::mt19937 random(2);
  std::geometric_distribution<int> more(0.3);
  std::vector<T> values(n);
  for (T& value : values) value = static_cast<T>(2 + more(random));
  return values;
}

struct Case {
  const char* name;
  const char* codecs;
  std::size_t n;
};
constexpr Case kBp128 = {"bp128", R"([{"name": "homeobox.bp128", "configuration": {"version": 1}}])", 12288};
constexpr Case kBitpackingDelta = {"bitpacking_delta",
                                   R"([{"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "homeobox.bitpacking", "configuration": {"transform": "delta", "element_size": 4}}, {"name": "crc32c"}])",
                                   40960};
constexpr Case kBitpackingNone = {"bitpacking_none",
                                  R"([{"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "homeobox.bitpacking", "configuration": {"transform": "none", "element_size": 4}}, {"name": "crc32c"}])",
                                  40960};

// Many chunks in turn, so that the encoded bytes come from beyond the first-level cache, as in use.
template <class T>
struct Chunks {
  Chunks(const Case& which, DataType dtype, std::vector<T> (*make)(std::size_t))
      : chain(CodecChain::parse(nlohmann::json::parse(which.codecs), hox::codec::make_chunk_spec(dtype, {which.n}))),
        values(make(which.n * kChunks)),
        encoded(kChunks) {
    Scratch scratch;
    for (std::size_t i = 0; i < kChunks; ++i) chain.encode(chunk(i), encoded[i], scratch);
  }
  static constexpr std::size_t kChunks = 16;
  std::size_t n() const { return chain.chunk().elements; }
  std::span<const std::byte> chunk(std::size_t i) const {
    return std::as_bytes(std::span(values).subspan(i % kChunks * n(), n()));
  }
  CodecChain chain;
  std::vector<T> values;
  std::vector<Bytes> encoded;
};

template <class T>
void encode(benchmark::State& state, const Case& which, DataType dtype, std::vector<T> (*make)(std::size_t)) {
  Chunks<T> chunks(which, dtype, make);
  Scratch scratch;
  Bytes out;
  std::size_t i = 0;
  for (auto _ : state) {
    chunks.chain.encode(chunks.chunk(i++), out, scratch);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * chunks.n()));
  std::size_t bytes = 0;
  for (const Bytes& encoded : chunks.encoded) bytes += encoded.size();
  state.counters["bits_per_value"] = 8.0 * static_cast<double>(bytes) / static_cast<double>(chunks.values.size());
}

template <class T>
void decode(benchmark::State& state, const Case& which, DataType dtype, std::vector<T> (*make)(std::size_t)) {
  Chunks<T> chunks(which, dtype, make);
  Scratch scratch;
  std::vector<T> out(chunks.n());
  std::size_t i = 0;
  for (auto _ : state) {
    chunks.chain.decode(chunks.encoded[i++ % Chunks<T>::kChunks], std::as_writable_bytes(std::span(out)), scratch);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * chunks.n()));
}

// 1,400 values from anywhere in a chunk: one cell.
template <class T>
void decode_row(benchmark::State& state, const Case& which, DataType dtype, std::vector<T> (*make)(std::size_t)) {
  constexpr std::size_t kRow = 1400;
  Chunks<T> chunks(which, dtype, make);
  Scratch scratch;
  std::vector<T> out(kRow);
  std::mt19937 random(3);
  for (auto _ : state) {
    const std::size_t begin = random() % (chunks.n() - kRow);
    chunks.chain.decode_range(chunks.encoded[random() % Chunks<T>::kChunks], begin, begin + kRow,
                              reinterpret_cast<std::byte*>(out.data()), scratch);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRow));
}

// BENCHMARK_CAPTURE cannot name a template, so the registration is by hand.
template <class T>
void register_all(const std::string& name, const Case& which, DataType dtype, std::vector<T> (*make)(std::size_t)) {
  const auto add = [&](const char* what,
                       void (*run)(benchmark::State&, const Case&, DataType, std::vector<T> (*)(std::size_t))) {
    benchmark::RegisterBenchmark((std::string(what) + "/" + which.name + "/" + name).c_str(),
                                 [=, &which](benchmark::State& state) { run(state, which, dtype, make); });
  };
  add("encode", &encode<T>);
  add("decode", &decode<T>);
  add("decode_row", &decode_row<T>);
}

}  // namespace

int main(int argc, char** argv) {
  register_all<std::uint32_t>("genes", kBp128, DataType::kUint32, &genes<std::uint32_t>);
  register_all<std::uint32_t>("counts", kBp128, DataType::kUint32, &counts<std::uint32_t>);
  register_all<float>("float_counts", kBp128, DataType::kFloat32, &counts<float>);
  register_all<std::uint32_t>("genes", kBitpackingDelta, DataType::kUint32, &genes<std::uint32_t>);
  register_all<std::uint32_t>("counts", kBitpackingNone, DataType::kUint32, &counts<std::uint32_t>);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
