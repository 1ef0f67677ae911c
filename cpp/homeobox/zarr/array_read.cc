// Array::read and Array::read_ranges: which parts of which chunks are wanted, decoded in parallel.
//
// Both turn the request into one list of parts, each a box of one chunk and its place in the output, grouped by chunk
// so that a chunk is fetched and decoded once. Parts that lie contiguous on both sides decode straight into the
// output.

#include <algorithm>

#include "homeobox/base/checked.h"
#include "homeobox/base/error.h"
#include "homeobox/base/runtime.h"
#include "homeobox/zarr/array.h"
#include "homeobox/zarr/part_writer.h"

namespace hox::zarr {
namespace {

using Extents = std::span<const std::uint64_t>;

// Encoded bytes are held for at most so many bytes of decoded chunks at a time.
constexpr std::uint64_t kWindowBytes = std::uint64_t{256} << 20;
// Below this a second thread costs more than it saves.
constexpr std::uint64_t kTaskBytes = 128 * 1024;

// Calls body(i, encoded chunk) for chunks[i] (ascending, unique), in parallel, window by window.
template <class Body>
void for_each_encoded(const Array& array, std::span<const std::uint64_t> chunks, const ReadOptions& options,
                      const Body& body) {
  const std::uint64_t chunk_bytes = std::max<std::uint64_t>(1, array.chain().chunk().bytes());
  const std::size_t window = array.has_views() ? std::max<std::size_t>(1, chunks.size())
                                               : std::max<std::uint64_t>(16, kWindowBytes / chunk_bytes);
  for (std::size_t window_begin = 0; window_begin < chunks.size(); window_begin += window) {
    const auto current = chunks.subspan(window_begin, std::min(window, chunks.size() - window_begin));
    std::vector<EncodedChunk> fetched;
    if (!array.has_views()) fetched = array.fetch_chunks(current, options).chunks;
    const std::size_t per_task = static_cast<std::size_t>(std::max<std::uint64_t>(1, kTaskBytes / chunk_bytes));
    const auto run_task = [&](std::size_t task) {
      for (std::size_t i = task * per_task; i < std::min(current.size(), (task + 1) * per_task); ++i) {
        try {
          const ChunkView encoded = array.has_views() ? array.view_chunk(current[i])
                                                      : ChunkView{fetched[i].bytes.bytes(), fetched[i].present};
          body(window_begin + i, encoded);
        } catch (...) {
          array.rethrow_with_context(current[i]);
        }
      }
    };
    parallel_for(Runtime::cpu(), ceil_divide(current.size(), per_task), run_task, options.stop);
  }
  if (array.has_views()) array.store().check_views();
}

std::uint64_t checked_product(Extents extents, std::size_t width) {
  std::uint64_t product = width;
  for (const std::uint64_t extent : extents) {
    const auto next = checked_multiply(product, extent);
    if (!next) fail<InvalidArgument>("the result of {} elements is too large", fmt::join(extents, " x "));
    product = *next;
  }
  return product;
}

void check_room(std::span<std::byte> out, Extents out_shape, std::size_t width) {
  const std::uint64_t expected = checked_product(out_shape, width);
  if (out.size() != expected) fail<InvalidArgument>("{} bytes of output expected, found {}", expected, out.size());
}

}  // namespace

void Array::check_box(Extents begin, Extents end) const {
  const Coordinates& shape = grid().shape();
  if (begin.size() != shape.size() || end.size() != shape.size())
    fail<InvalidArgument>("array {}: {} axes expected, found begin of {} and end of {}", path(), shape.size(),
                          begin.size(), end.size());
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    if (begin[axis] > end[axis] || end[axis] > shape[axis])
      fail<OutOfRange>("array {}: axis {}: {} to {} leaves 0 to {}", path(), axis, begin[axis], end[axis], shape[axis]);
}

std::uint64_t Array::count_rows(std::span<const std::int64_t> begins, std::span<const std::int64_t> ends) const {
  if (grid().rank() == 0) fail<InvalidArgument>("array {}: ranges need an axis, the array has none", path());
  if (begins.size() != ends.size())
    fail<InvalidArgument>("array {}: as many ends as begins expected, found {} and {}", path(), ends.size(),
                          begins.size());
  const std::uint64_t n_rows = grid().shape()[0];
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < begins.size(); ++i) {
    if (begins[i] < 0 || begins[i] > ends[i] || static_cast<std::uint64_t>(ends[i]) > n_rows)
      fail<OutOfRange>("array {}: range {}: {} to {} leaves 0 to {}", path(), i, begins[i], ends[i], n_rows);
    const auto next = checked_add(total, static_cast<std::uint64_t>(ends[i] - begins[i]));
    if (!next) fail<InvalidArgument>("array {}: the ranges hold too many rows", path());
    total = *next;
  }
  return total;
}

void Array::read(Extents begin, Extents end, std::span<std::byte> out, const ReadOptions& options) const {
  check_box(begin, end);
  const ChunkGrid& grid_ = grid();
  const std::size_t rank = grid_.rank();
  Coordinates out_shape(rank);
  Coordinates first_chunk(rank);
  Coordinates box_chunks(rank);
  std::uint64_t n_chunks = 1;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    out_shape[axis] = end[axis] - begin[axis];
    first_chunk[axis] = begin[axis] / grid_.chunk_shape()[axis];
    box_chunks[axis] = out_shape[axis] == 0 ? 0 : ceil_divide(end[axis], grid_.chunk_shape()[axis]) - first_chunk[axis];
    n_chunks *= box_chunks[axis];
  }
  check_room(out, out_shape, element_bytes(metadata().dtype));

  std::vector<std::uint64_t> chunks(n_chunks);
  Coordinates coordinates = first_chunk;
  for (std::uint64_t i = 0; i < n_chunks; ++i) {
    chunks[i] = grid_.chunk_number(coordinates);
    for (std::size_t axis = rank; axis-- > 0;) {
      if (++coordinates[axis] < first_chunk[axis] + box_chunks[axis]) break;
      coordinates[axis] = first_chunk[axis];
    }
  }

  const PartWriter writer(*this, out, out_shape);
  for_each_encoded(*this, chunks, options, [&](std::size_t i, const ChunkView& encoded) {
    const Coordinates position = grid_.chunk_coordinates(chunks[i]);
    writer.write(encoded, 1, [&](std::size_t, Part& part) {
      part.chunk_begin.resize(rank);
      part.out_begin.resize(rank);
      part.extents.resize(rank);
      for (std::size_t axis = 0; axis < rank; ++axis) {
        const std::uint64_t chunk_begin = position[axis] * grid_.chunk_shape()[axis];
        const std::uint64_t part_begin = std::max(begin[axis], chunk_begin);
        part.chunk_begin[axis] = part_begin - chunk_begin;
        part.out_begin[axis] = part_begin - begin[axis];
        part.extents[axis] = std::min(end[axis], chunk_begin + grid_.chunk_shape()[axis]) - part_begin;
      }
    });
  });
}

namespace {

// Rows [begin, end) of the array that lie in one band of chunks, and the output row of the first.
struct RowPiece {
  std::uint64_t band;
  std::uint64_t begin;
  std::uint64_t end;
  std::uint64_t out_row;
};

std::vector<RowPiece> split_at_bands(std::uint64_t band_rows, std::span<const std::int64_t> begins,
                                     std::span<const std::int64_t> ends) {
  std::vector<RowPiece> pieces;
  pieces.reserve(begins.size());
  std::uint64_t out_row = 0;
  for (std::size_t i = 0; i < begins.size(); ++i) {
    const auto end = static_cast<std::uint64_t>(ends[i]);
    auto row = static_cast<std::uint64_t>(begins[i]);
    while (row < end) {
      const std::uint64_t band = row / band_rows;
      const std::uint64_t piece_end = std::min(end, (band + 1) * band_rows);
      pieces.push_back({band, row, piece_end, out_row});
      out_row += piece_end - row;
      row = piece_end;
    }
  }
  const auto by_band = [](const RowPiece& a, const RowPiece& b) { return a.band < b.band; };
  if (!std::is_sorted(pieces.begin(), pieces.end(), by_band)) std::stable_sort(pieces.begin(), pieces.end(), by_band);
  return pieces;
}

}  // namespace

void Array::read_ranges(std::span<const std::int64_t> begins, std::span<const std::int64_t> ends,
                        std::span<std::byte> out, const ReadOptions& options) const {
  const ChunkGrid& grid_ = grid();
  const std::size_t rank = grid_.rank();
  const std::uint64_t n_rows = count_rows(begins, ends);
  Coordinates out_shape = grid_.shape();
  out_shape[0] = n_rows;
  check_room(out, out_shape, element_bytes(metadata().dtype));
  if (out.empty()) return;
  const std::vector<RowPiece> pieces = split_at_bands(grid_.chunk_shape()[0], begins, ends);

  // Bands in use, and the pieces of each.
  std::vector<std::size_t> band_begins;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    if (i == 0 || pieces[i].band != pieces[i - 1].band) band_begins.push_back(i);
  const std::uint64_t chunks_per_band = grid_.chunks_per_row();
  std::vector<std::uint64_t> chunks;
  chunks.reserve(band_begins.size() * chunks_per_band);
  for (const std::size_t first : band_begins)
    for (std::uint64_t j = 0; j < chunks_per_band; ++j) chunks.push_back(pieces[first].band * chunks_per_band + j);
  band_begins.push_back(pieces.size());

  const PartWriter writer(*this, out, out_shape);
  for_each_encoded(*this, chunks, options, [&](std::size_t i, const ChunkView& encoded) {
    const std::size_t band = i / chunks_per_band;
    const std::span band_pieces(pieces.data() + band_begins[band], band_begins[band + 1] - band_begins[band]);
    const Coordinates position = grid_.chunk_coordinates(chunks[i]);
    writer.write(encoded, band_pieces.size(), [&](std::size_t number, Part& part) {
      const RowPiece& piece = band_pieces[number];
      part.chunk_begin.assign(rank, 0);
      part.out_begin.resize(rank);
      part.extents.resize(rank);
      part.chunk_begin[0] = piece.begin - position[0] * grid_.chunk_shape()[0];
      part.out_begin[0] = piece.out_row;
      part.extents[0] = piece.end - piece.begin;
      for (std::size_t axis = 1; axis < rank; ++axis) {
        const std::uint64_t axis_begin = position[axis] * grid_.chunk_shape()[axis];
        part.out_begin[axis] = axis_begin;
        part.extents[axis] = std::min(grid_.chunk_shape()[axis], grid_.shape()[axis] - axis_begin);
      }
    });
  });
}

}  // namespace hox::zarr
