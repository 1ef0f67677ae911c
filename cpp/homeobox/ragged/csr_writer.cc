#include "homeobox/ragged/csr_writer.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/ragged/column_map.h"

namespace hox::ragged {
namespace {

// Entries that are reordered together: what threads share stays in the cache of the last level.
constexpr std::int64_t kStepEntries = std::int64_t{1} << 19;

// Stored feature of each local one.
std::vector<std::uint32_t> checked_inverse(std::span<const std::uint32_t> order, std::int64_t n_features) {
  if (order.empty()) return {};
  if (order.size() != static_cast<std::size_t>(n_features))
    fail<InvalidArgument>("order: {} features expected, found {}", n_features, order.size());
  std::vector<std::int32_t> identity(order.size());
  std::iota(identity.begin(), identity.end(), 0);
  const ColumnMap checked(order, identity, n_features);  // refuses what is no permutation
  return invert_order(order);
}

}  // namespace

std::byte* CsrWriter::Slab::room(std::size_t n) {
  const std::size_t needed = (n_waiting + n) * target.element_bytes;
  if (memory.size() < needed) {
    RawBuffer larger(needed + needed / 4);
    if (n_waiting != 0) std::memcpy(larger.data(), memory.data(), n_waiting * target.element_bytes);
    memory = std::move(larger);
  }
  return memory.data() + n_waiting * target.element_bytes;
}

void CsrWriter::Slab::commit(std::size_t n) {
  n_waiting += n;
  std::size_t n_taken = 0;
  for (std::uint64_t wanted = target.writer->rows_wanted(); n_waiting - n_taken >= wanted && wanted != 0;
       wanted = target.writer->rows_wanted()) {
    target.writer->append({memory.data() + n_taken * target.element_bytes, wanted * target.element_bytes}, wanted);
    n_taken += wanted;
  }
  if (n_taken == 0) return;
  n_waiting -= n_taken;
  std::memmove(memory.data(), memory.data() + n_taken * target.element_bytes, n_waiting * target.element_bytes);
}

CsrWriter::CsrWriter(Target indices, std::vector<Target> layers, std::int64_t n_features,
                     std::span<const std::uint32_t> feature_order)
    : indices_{std::move(indices), {}, 0},
      n_features_(n_features),
      stored_of_local_(checked_inverse(feature_order, n_features)) {
  for (Target& layer : layers) layers_.push_back({std::move(layer), {}, 0});
}

void CsrWriter::append(const CsrInput& block, std::span<const EntryArray> layers) {
  if (layers.size() != layers_.size())
    fail<InvalidArgument>("{} layer(s) expected, found {}", layers_.size(), layers.size());
  if (block.indptr.empty()) fail<InvalidArgument>("indptr: at least one entry expected, found none");
  const std::size_t n_rows = block.indptr.size() - 1;
  for (std::size_t first = 0; first < n_rows;) {
    const auto begin = block.indptr.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = std::upper_bound(begin + 1, block.indptr.end(), *begin + kStepEntries);
    const auto last =
        std::clamp<std::size_t>(static_cast<std::size_t>(end - block.indptr.begin()) - 1, first + 1, n_rows);
    append_rows(block, layers, first, last);
    first = last;
  }
}

void CsrWriter::append_rows(const CsrInput& block, std::span<const EntryArray> layers, std::size_t first,
                            std::size_t last) {
  if (block.indptr[first] < 0 || block.indptr[last] < block.indptr[first])
    fail<InvalidArgument>("indptr decreases between rows {} and {}: {}, then {}", first, last, block.indptr[first],
                          block.indptr[last]);
  const auto n = static_cast<std::size_t>(block.indptr[last] - block.indptr[first]);
  std::vector<LayerInput> inputs;
  for (std::size_t i = 0; i < layers.size(); ++i) inputs.push_back({layers[i], layers_[i].room(n)});
  auto* const stored = reinterpret_cast<std::uint32_t*>(indices_.room(n));
  reorder_rows(block, inputs, n_features_, stored_of_local_, first, last, stored);
  indices_.commit(n);
  for (Slab& layer : layers_) layer.commit(n);
}

std::vector<zarr::StoredObject> CsrWriter::finish() {
  std::vector<zarr::StoredObject> objects;
  const auto finish_one = [&](Slab& slab) {
    // What waits is less than the array wants: too few entries came, which it says.
    slab.target.writer->append({slab.memory.data(), slab.n_waiting * slab.target.element_bytes}, slab.n_waiting);
    const auto& written = slab.target.writer->finish();
    objects.insert(objects.end(), written.begin(), written.end());
  };
  for (Slab& layer : layers_) finish_one(layer);
  finish_one(indices_);
  return objects;
}

}  // namespace hox::ragged
