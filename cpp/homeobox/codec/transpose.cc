#include "homeobox/codec/transpose.h"

#include <cstring>
#include <utility>

#include "homeobox/base/error.h"
#include "homeobox/codec/configuration.h"

namespace hox::codec {
namespace {

// Copies `in` (C order, axes with `in_strides` in bytes) to `out` in C order of `out_shape`; axis k of the output
// walks the input with stride strides[k].
template <std::size_t kWidth>
void gather_axes(const std::byte* in, std::byte* out, const std::vector<std::uint64_t>& out_shape,
                 const std::vector<std::uint64_t>& strides) {
  const std::size_t rank = out_shape.size();
  const std::uint64_t inner = out_shape[rank - 1];
  const std::uint64_t inner_stride = strides[rank - 1];
  std::vector<std::uint64_t> position(rank, 0);
  std::uint64_t offset = 0;
  while (true) {
    for (std::uint64_t i = 0; i < inner; ++i, out += kWidth) std::memcpy(out, in + offset + i * inner_stride, kWidth);
    std::size_t axis = rank - 1;
    while (axis > 0) {
      --axis;
      offset += strides[axis];
      if (++position[axis] < out_shape[axis]) break;
      offset -= position[axis] * strides[axis];
      position[axis] = 0;
      if (axis == 0) return;
    }
    if (rank == 1) return;
  }
}

void gather_axes(std::size_t width, const std::byte* in, std::byte* out, const std::vector<std::uint64_t>& out_shape,
                 const std::vector<std::uint64_t>& strides) {
  switch (width) {
    case 1:
      return gather_axes<1>(in, out, out_shape, strides);
    case 2:
      return gather_axes<2>(in, out, out_shape, strides);
    case 4:
      return gather_axes<4>(in, out, out_shape, strides);
    default:
      return gather_axes<8>(in, out, out_shape, strides);
  }
}

std::vector<std::uint64_t> c_strides(const std::vector<std::uint64_t>& shape, std::size_t width) {
  std::vector<std::uint64_t> strides(shape.size());
  std::uint64_t stride = width;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

class TransposeCodec final : public ArrayToArrayCodec {
 public:
  TransposeCodec(const ChunkSpec& chunk, std::vector<std::size_t> order)
      : order_(std::move(order)), decoded_shape_(chunk.shape), encoded_(chunk) {
    const std::size_t width = element_bytes(chunk.dtype);
    for (std::size_t i = 0; i < order_.size(); ++i) encoded_.shape[i] = chunk.shape[order_[i]];
    const std::vector<std::uint64_t> decoded_strides = c_strides(decoded_shape_, width);
    const std::vector<std::uint64_t> encoded_strides = c_strides(encoded_.shape, width);
    encode_strides_.resize(order_.size());
    decode_strides_.resize(order_.size());
    for (std::size_t i = 0; i < order_.size(); ++i) {
      encode_strides_[i] = decoded_strides[order_[i]];
      decode_strides_[order_[i]] = encoded_strides[i];
    }
  }

  nlohmann::json to_json() const override { return {{"name", "transpose"}, {"configuration", {{"order", order_}}}}; }

  const ChunkSpec& encoded_spec() const override { return encoded_; }

  void encode(std::span<const std::byte> in, std::span<std::byte> out) const override {
    permute(in, out, encoded_.shape, encode_strides_);
  }
  void decode(std::span<const std::byte> in, std::span<std::byte> out) const override {
    permute(in, out, decoded_shape_, decode_strides_);
  }

 private:
  void permute(std::span<const std::byte> in, std::span<std::byte> out, const std::vector<std::uint64_t>& out_shape,
               const std::vector<std::uint64_t>& strides) const {
    if (in.empty()) return;
    if (out_shape.empty())
      std::memcpy(out.data(), in.data(), in.size());
    else
      gather_axes(element_bytes(encoded_.dtype), in.data(), out.data(), out_shape, strides);
  }

  std::vector<std::size_t> order_;
  std::vector<std::uint64_t> decoded_shape_;
  ChunkSpec encoded_;
  // Strides in bytes with which each output axis walks the input.
  std::vector<std::uint64_t> encode_strides_;
  std::vector<std::uint64_t> decode_strides_;
};

}  // namespace

std::shared_ptr<const ArrayToArrayCodec> make_transpose(const nlohmann::json& configuration, const ChunkSpec& chunk) {
  Configuration members("transpose", configuration);
  const nlohmann::json& order_json = members.any("order");
  members.finish();
  const std::size_t rank = chunk.shape.size();
  std::vector<bool> seen(rank, false);
  std::vector<std::size_t> order;
  bool is_permutation = order_json.is_array() && order_json.size() == rank;
  for (std::size_t i = 0; is_permutation && i < rank; ++i) {
    const bool in_range = order_json[i].is_number_integer() && order_json[i] >= 0 && order_json[i] < rank;
    const std::size_t axis = in_range ? order_json[i].get<std::size_t>() : rank;
    is_permutation = axis < rank && !seen[axis];
    if (!is_permutation) break;
    seen[axis] = true;
    order.push_back(axis);
  }
  if (!is_permutation)
    fail<InvalidArgument>("codec transpose: a permutation of {} axes expected as order, found {}", rank,
                          order_json.dump());
  return std::make_shared<TransposeCodec>(chunk, std::move(order));
}

}  // namespace hox::codec
