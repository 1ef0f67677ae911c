// CRC-32C (Castagnoli), as in iSCSI and Zarr's crc32c codec.
//
// Uses the processor's CRC instruction where it has one (three independent streams to hide its latency), else a table.
// No allocation, no exceptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hox::codec {

// CRC of `bytes` appended to data whose CRC is `crc`; 0 starts anew.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0) noexcept;

// The table-driven twin that the tests compare against.
std::uint32_t crc32c_plain(std::span<const std::byte> bytes, std::uint32_t crc = 0) noexcept;

}  // namespace hox::codec
