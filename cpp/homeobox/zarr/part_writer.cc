#include "homeobox/zarr/part_writer.h"

#include <functional>
#include <numeric>

#include "homeobox/zarr/box.h"

namespace hox::zarr {
namespace {

codec::Scratch& worker_scratch() {
  thread_local codec::Scratch scratch;
  return scratch;
}

// Memory for one decoded chunk.
std::span<std::byte> worker_chunk(std::uint64_t n_bytes) {
  thread_local codec::Bytes chunk;
  if (chunk.size() < n_bytes) chunk.resize(n_bytes);
  return std::span(chunk).first(n_bytes);
}

std::uint64_t elements(const Part& part) {
  return std::accumulate(part.extents.begin(), part.extents.end(), std::uint64_t{1}, std::multiplies<>{});
}

}  // namespace

PartWriter::PartWriter(const Array& array, std::span<std::byte> out, std::span<const std::uint64_t> out_shape)
    : array_(array), out_(out), out_shape_(out_shape), width_(element_bytes(array.metadata().dtype)) {}

void PartWriter::extend(Plan& plan, const Part& part) const {
  ++plan.n_parts;
  plan.elements += elements(part);
  plan.contiguous = plan.contiguous && is_contiguous(part.extents, array_.grid().chunk_shape()) &&
                    is_contiguous(part.extents, out_shape_);
}

std::span<const std::byte> PartWriter::decode_whole_if_better(const ChunkView& encoded, const Plan& plan) const {
  if (!encoded.present) return {};
  const std::uint64_t chunk_elements = array_.chunk_elements();
  if (plan.contiguous) {
    if (plan.n_parts == 1 && plan.elements == chunk_elements) return {};
    if (array_.chain().decodes_ranges() && plan.elements < chunk_elements) return {};
  }
  const std::span<std::byte> decoded = worker_chunk(chunk_elements * width_);
  array_.chain().decode(encoded.bytes, decoded, worker_scratch());
  return decoded;
}

void PartWriter::write_part(const ChunkView& encoded, std::span<const std::byte> whole, const Part& part) const {
  const Placement source{array_.grid().chunk_shape(), part.chunk_begin};
  const Placement target{out_shape_, part.out_begin};
  if (!encoded.present) return fill_box(array_.metadata().fill_value, out_.data(), target, part.extents);
  if (!whole.empty()) return copy_box(whole.data(), source, out_.data(), target, part.extents, width_);
  const std::uint64_t n = elements(part);
  std::byte* out = out_.data() + first_element(target) * width_;
  if (n == array_.chunk_elements())
    array_.chain().decode(encoded.bytes, {out, n * width_}, worker_scratch());
  else
    array_.chain().decode_range(encoded.bytes, first_element(source), first_element(source) + n, out, worker_scratch());
}

}  // namespace hox::zarr
