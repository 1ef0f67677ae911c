// Random gather against plain copies of the same rows, in one run: the ratios that the README quotes.
//
//   gather_bench STORE GROUP RAW [threads] [seconds] [way]
//
// STORE is a folder with the packed group GROUP (csr/indices, csr/layers/counts, csr/feature_order); RAW holds the same
// matrix unpacked: indptr.i64, indices.u32 (stored order), values.f32, written by benchmarks/gather.py. Each thread
// gathers its own random cells in batches of 512 into a buffer of its own that it reuses, on either side alike. Prints
// one JSON line per way of reading; rates are cells per second of CPU time and thread.

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "homeobox/io/file_store.h"
#include "homeobox/ragged/row_decoder.h"
#include "homeobox/ragged/row_sorter.h"
#include "homeobox/ragged/sparse_group.h"

namespace {

using hox::ragged::ColumnMap;
using hox::ragged::LoadedGroup;
using hox::ragged::RowDecoder;
using hox::ragged::RowOrder;
using hox::ragged::RowSorter;

constexpr std::size_t kBatchCells = 512;
constexpr int kRounds = 5;

template <class T>
std::vector<T> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<T> values(static_cast<std::size_t>(file.tellg()) / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

struct Matrix {
  std::vector<std::int64_t> indptr;
  std::vector<std::uint32_t> indices;
  std::vector<float> values;
  std::size_t n_cells() const { return indptr.size() - 1; }
};

struct Output {
  std::vector<std::uint32_t> columns;
  std::vector<float> values;
};

// CPU time of this thread: on a shared machine waiting for a core says nothing about the code, waiting for memory does.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Reads the cells one after another to the front of `out`.
using ReadCells = std::function<void(const std::vector<std::size_t>& cells, Output& out)>;
using MakeReader = std::function<ReadCells()>;  // one reader per thread

double cells_per_second(const Matrix& matrix, const MakeReader& make_reader, unsigned n_threads, double seconds,
                        unsigned seed) {
  std::vector<double> rates(n_threads);
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < n_threads; ++thread) {
    threads.emplace_back([&, thread] {
      const ReadCells read = make_reader();
      std::vector<std::size_t> cells(kBatchCells);
      std::mt19937_64 random(seed + thread);
      Output out;
      const std::size_t room = kBatchCells * 40000;
      out.columns.resize(room);
      out.values.resize(room);
      std::size_t done = 0;
      const double start = thread_seconds();
      double elapsed = 0;
      do {
        for (std::size_t& cell : cells) cell = random() % matrix.n_cells();
        read(cells, out);
        done += kBatchCells;
        elapsed = thread_seconds() - start;
      } while (elapsed < seconds);
      rates[thread] = static_cast<double>(done) / elapsed;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return std::accumulate(rates.begin(), rates.end(), 0.0) / n_threads;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: gather_bench STORE GROUP RAW [threads] [seconds]\n");
    return 2;
  }
  const unsigned n_threads = argc > 4 ? static_cast<unsigned>(std::stoul(argv[4])) : 1;
  const double seconds = argc > 5 ? std::stod(argv[5]) : 0.5;
  const std::string raw = argv[3];
  const Matrix matrix{read_file<std::int64_t>(raw + "/indptr.i64"), read_file<std::uint32_t>(raw + "/indices.u32"),
                      read_file<float>(raw + "/values.f32")};
  const auto store = std::make_shared<hox::FileStore>(argv[1]);
  const hox::ragged::SparseGroup group(store, argv[2]);
  const std::size_t n_features = group.feature_order().size();
  std::vector<std::int32_t> identity(n_features);
  std::iota(identity.begin(), identity.end(), 0);
  const auto n_columns = static_cast<std::int64_t>(n_features);
  const auto prepared = group.prepare("csr/layers/counts", identity, n_columns);
  const LoadedGroup loaded{hox::ragged::RangeSource(prepared.indices, {}, {}),
                           hox::ragged::RangeSource(prepared.values, {}, {}), prepared.columns.get()};
  std::vector<std::int32_t> map(group.feature_order().begin(), group.feature_order().end());  // stored to joined

  const auto copy_row = [&](std::size_t cell, Output& out, std::size_t at) {
    const auto begin = static_cast<std::size_t>(matrix.indptr[cell]);
    const auto n = static_cast<std::size_t>(matrix.indptr[cell + 1]) - begin;
    std::memcpy(out.columns.data() + at, matrix.indices.data() + begin, n * sizeof(std::uint32_t));
    std::memcpy(out.values.data() + at, matrix.values.data() + begin, n * sizeof(float));
    return n;
  };
  const auto copy_remap_row = [&](std::size_t cell, Output& out, std::size_t at) {
    const auto begin = static_cast<std::size_t>(matrix.indptr[cell]);
    const auto n = static_cast<std::size_t>(matrix.indptr[cell + 1]) - begin;
    for (std::size_t i = 0; i < n; ++i)
      out.columns[at + i] = static_cast<std::uint32_t>(map[matrix.indices[begin + i]]);
    std::memcpy(out.values.data() + at, matrix.values.data() + begin, n * sizeof(float));
    return n;
  };
  const auto packed_reader = [&](RowOrder order) {
    return [&, order]() -> ReadCells {
      const auto decoder = std::make_shared<RowDecoder>(n_columns, hox::DataType::kFloat32, order);
      return [&, decoder](const std::vector<std::size_t>& cells, Output& out) {
        const std::vector<std::int32_t> groups(cells.size(), 0);
        std::vector<std::int64_t> begins;
        std::vector<std::int64_t> ends;
        std::vector<std::int64_t> indptr = {0};
        for (const std::size_t cell : cells) {
          begins.push_back(matrix.indptr[cell]);
          ends.push_back(matrix.indptr[cell + 1]);
          indptr.push_back(indptr.back() + ends.back() - begins.back());
        }
        decoder->decode_cells({&loaded, 1}, {groups, begins, ends}, 0, cells.size(), indptr, out.columns.data(),
                              reinterpret_cast<std::byte*>(out.values.data()));
      };
    };
  };
  const auto one_by_one = [](auto read_row) -> ReadCells {
    return [read_row](const std::vector<std::size_t>& cells, Output& out) {
      std::size_t at = 0;
      for (const std::size_t cell : cells) at += read_row(cell, out, at);
    };
  };
  const std::vector<std::pair<std::string, MakeReader>> ways = {
      {"copy", [&] { return one_by_one(copy_row); }},
      {"copy_remap", [&] { return one_by_one(copy_remap_row); }},
      {"copy_remap_rank",
       [&] {
         const auto sorter = std::make_shared<RowSorter>(n_columns);
         return one_by_one([&, sorter](std::size_t cell, Output& out, std::size_t at) {
           const std::size_t n = copy_remap_row(cell, out, at);
           sorter->sort({out.columns.data() + at, n}, reinterpret_cast<std::byte*>(out.values.data() + at), 4);
           return n;
         });
       }},
      {"packed", packed_reader(RowOrder::kStored)},
      {"packed_canonical", packed_reader(RowOrder::kCanonical)},
  };
  if (argc > 6) {  // one way alone, for a profiler
    for (const auto& [name, make_reader] : ways)
      if (name == argv[6]) fmt::print("{:.0f} cells/s\n", cells_per_second(matrix, make_reader, n_threads, seconds, 1));
    return 0;
  }
  std::vector<std::vector<double>> rates(ways.size());
  for (int round = 0; round < kRounds; ++round)  // in turn, so that a drifting machine hits all of them
    for (std::size_t way = 0; way < ways.size(); ++way)
      rates[way].push_back(
          cells_per_second(matrix, ways[way].second, n_threads, seconds, static_cast<unsigned>(1000 * round)));
  const auto ratio = [&](std::size_t way, std::size_t reference) {
    std::vector<double> ratios;
    for (int round = 0; round < kRounds; ++round)
      ratios.push_back(rates[way][static_cast<std::size_t>(round)] / rates[reference][static_cast<std::size_t>(round)]);
    return median(ratios);
  };
  for (std::size_t way = 0; way < ways.size(); ++way)
    fmt::print(
        "{{\"benchmark\": \"gather\", \"way\": \"{}\", \"threads\": {}, \"cells_per_s\": {:.0f}, "
        "\"of_copy\": {:.3f}, \"of_copy_remap\": {:.3f}, \"of_copy_remap_rank\": {:.3f}}}\n",
        ways[way].first, n_threads, median(rates[way]), ratio(way, 0), ratio(way, 1), ratio(way, 2));
}
