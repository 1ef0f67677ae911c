// The plain reference of benchmarks/loader.py: batches of random rows copied out of an unpacked CSR matrix in memory.
//
//   copy_bench RAW batch_size threads seconds
//
// RAW holds indptr.i64, indices.u32 and values.f32. Threads take batches from one shuffled order of all cells and copy
// the rows to buffers of their own, used again for each batch. Prints cells per second of wall time.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

template <class T>
std::vector<T> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<T> values(static_cast<std::size_t>(file.tellg()) / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: copy_bench RAW batch_size threads seconds\n");
    return 2;
  }
  const std::string raw = argv[1];
  const std::size_t batch_size = std::stoul(argv[2]);
  const unsigned n_threads = static_cast<unsigned>(std::stoul(argv[3]));
  const double seconds = std::stod(argv[4]);
  const auto indptr = read_file<std::int64_t>(raw + "/indptr.i64");
  const auto indices = read_file<std::uint32_t>(raw + "/indices.u32");
  const auto values = read_file<float>(raw + "/values.f32");
  const std::size_t n_cells = indptr.size() - 1;
  std::vector<std::size_t> order(n_cells);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(0));

  std::atomic<std::size_t> next_batch{0};
  std::atomic<std::size_t> cells_done{0};
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < n_threads; ++thread) {
    threads.emplace_back([&] {
      std::vector<std::uint32_t> out_indices;
      std::vector<float> out_values;
      while (elapsed() < seconds) {
        const std::size_t first = next_batch.fetch_add(1) * batch_size;
        std::size_t n_entries = 0;
        for (std::size_t i = 0; i < batch_size; ++i) {
          const std::size_t cell = order[(first + i) % n_cells];
          n_entries += static_cast<std::size_t>(indptr[cell + 1] - indptr[cell]);
        }
        if (out_indices.size() < n_entries) {
          out_indices.resize(2 * n_entries);
          out_values.resize(2 * n_entries);
        }
        std::size_t at = 0;
        for (std::size_t i = 0; i < batch_size; ++i) {
          const std::size_t cell = order[(first + i) % n_cells];
          const auto begin = static_cast<std::size_t>(indptr[cell]);
          const auto n = static_cast<std::size_t>(indptr[cell + 1]) - begin;
          std::memcpy(out_indices.data() + at, indices.data() + begin, n * sizeof(std::uint32_t));
          std::memcpy(out_values.data() + at, values.data() + begin, n * sizeof(float));
          at += n;
        }
        cells_done += batch_size;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  fmt::print("{:.0f}\n", static_cast<double>(cells_done.load()) / elapsed());
}
