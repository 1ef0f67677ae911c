// Fill values: from zarr.json's form to the bytes of one element and back.
//
// Integers and bools are JSON numbers and literals. Floats are numbers, "NaN", "Infinity", "-Infinity", or their
// bytes in hexadecimal, most significant first ("0x7fc00001"), which is the only form for other NaNs.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "homeobox/base/data_type.h"

namespace hox::zarr {

// One element in native byte order. Throws InvalidArgument.
std::vector<std::byte> parse_fill_value(const nlohmann::ordered_json& json, DataType dtype);

nlohmann::ordered_json fill_value_to_json(std::span<const std::byte> element, DataType dtype);

}  // namespace hox::zarr
