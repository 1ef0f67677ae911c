"""A second decoder of homeobox.bp128 and homeobox.bitpacking, written from FORMAT.md alone.

Slow and plain on purpose: bit strings are Python integers. It shares no code with the core, so where the two read a
chunk differently, the text or the core is wrong. Section numbers are those of FORMAT.md.
"""

from __future__ import annotations

import struct

import numpy as np
from numcodecs.zstd import Zstd

CONSTANT, RAW, ZSTD, PLAIN, DELTA, ZIGZAG, ZSTD_DELTA = range(7)
BLOCK = 128
WORD = 1 << 32
HEADER = struct.Struct("<BBBBIIQI")


class CorruptChunkError(ValueError):
    """The bytes break FORMAT.md."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise CorruptChunkError(message)


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def bit_field(string: int, begin: int, width: int) -> int:
    return string >> begin & (1 << width) - 1


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # 0x1EDC6F41, reflected
        table.append(byte)
    return table


CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


# --- section 6: homeobox.bp128 ---


class Chunk:
    """The header of one chunk (6.1), refused as 6.9 says."""

    def __init__(self, encoded: bytes, dtype: np.dtype, n_elements: int) -> None:
        require(len(encoded) >= HEADER.size + 4, "shorter than a header and a checksum")
        self.encoded, self.dtype, self.n_elements = encoded, dtype, n_elements
        (self.mode, self.base_bits, self.step, self.offset_bytes, self.n_packed, self.modulus, self.reference, crc) = (
            HEADER.unpack_from(encoded)
        )
        require(crc == crc32c(encoded[:20]), "header checksum")
        require(self.mode <= ZSTD_DELTA, "unknown mode")
        require(self.n_packed <= n_elements, "more packed elements than the chunk has")
        if self.mode in (PLAIN, DELTA, ZIGZAG):
            require(self.offset_bytes in (2, 4), "offset_bytes")
            require(self.base_bits <= (0 if self.mode == PLAIN else self.field_bits), "base_bits")
            require(self.step <= (self.mode == DELTA), "step")
            power_of_two = self.modulus & (self.modulus - 1) == 0
            require(power_of_two or self.modulus <= 65536 if self.mode == DELTA else self.modulus == 0, "modulus")
        if self.mode == ZSTD_DELTA:
            require(self.step <= 1 and 1 <= self.modulus <= 256, "step and modulus")

    @property
    def field_bits(self) -> int:
        """What a field and a base may need at most (6.9)."""
        return ((self.modulus or WORD) - 1).bit_length() if self.mode == DELTA else 32

    def verified(self, group: int, stored: bytes) -> bytes:
        """A group without its checksum, which must hold (6.6)."""
        data = stored[4:]
        require(number(stored[:4]) == crc32c(self.encoded[:20] + struct.pack("<I", group) + data), "checksum")
        return data

    def next_key(self, key: int, field: int) -> int:
        """6.8."""
        if self.mode == PLAIN:
            return field
        if self.mode == ZIGZAG:
            return (key + (field >> 1 ^ (0xFFFFFFFF if field & 1 else 0))) % WORD
        return (key + field + self.step) % (self.modulus or WORD)

    def elements(self, keys: list[int]) -> np.ndarray:
        """6.2."""
        sums = [(self.reference + key) % (1 << 64) for key in keys[: self.n_packed]]
        out = np.zeros(self.n_elements, self.dtype)
        if self.dtype.kind == "f":
            with np.errstate(over="ignore"):  # sums of no value of the type are undefined
                out[: self.n_packed] = [n - (1 << 64) if n >> 63 else n for n in sums]
        else:
            size = self.dtype.itemsize
            low_bytes = b"".join(struct.pack("<Q", n)[:size] for n in sums)
            out[: self.n_packed] = np.frombuffer(low_bytes, self.dtype)
        return out


def decode_bp128(encoded: bytes, dtype: np.dtype, n_elements: int) -> np.ndarray:
    chunk = Chunk(encoded, dtype, n_elements)
    if chunk.mode in (PLAIN, DELTA, ZIGZAG):
        return chunk.elements(_grouped_keys(chunk))
    payload = chunk.verified(0, encoded[24:])
    if chunk.mode == CONSTANT:
        require(not payload, "bytes after a constant")
        element = struct.pack("<Q", chunk.reference)[: dtype.itemsize]
        return np.frombuffer(element * n_elements, dtype)
    if chunk.mode == RAW:
        require(len(payload) == n_elements * dtype.itemsize, "size")
        return np.frombuffer(payload, dtype)
    if chunk.mode == ZSTD:
        shuffled = np.frombuffer(_decompress(payload, n_elements * dtype.itemsize), np.uint8)
        return np.ascontiguousarray(shuffled.reshape(dtype.itemsize, n_elements).T).view(dtype).ravel()
    keys, key = [], 0
    for field in _decompress(payload, chunk.n_packed):
        key = chunk.next_key(key, field)
        keys.append(key)
    return chunk.elements(keys)


def _decompress(payload: bytes, n_bytes: int) -> bytes:
    try:
        data = bytes(Zstd().decode(payload))
    except RuntimeError as error:
        raise CorruptChunkError("zstd") from error
    require(len(data) == n_bytes, "decompressed size")
    return data


def _grouped_keys(chunk: Chunk) -> list[int]:
    """6.4."""
    n_blocks = -(-chunk.n_packed // BLOCK)
    n_groups = -(-n_blocks // 4)
    size = chunk.offset_bytes
    offsets, groups = chunk.encoded[24 : 24 + n_groups * size], chunk.encoded[24 + n_groups * size :]
    require(len(offsets) == n_groups * size, "too short for its offsets")
    begins = [number(offsets[g * size : (g + 1) * size]) for g in range(n_groups)]
    keys: list[int] = []
    ends = [*begins, len(groups)][1:]
    for group, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        blocks = min(4, n_blocks - 4 * group)
        entries_bytes = -(-blocks * (20 + chunk.base_bits) // 8)
        require(begin + 4 + entries_bytes <= end <= len(groups), "group bounds")
        data = chunk.verified(group, groups[begin:end])
        entries, at = number(data[:entries_bytes]), entries_bytes
        for i in range(blocks):  # 6.5
            entry = entries >> i * (20 + chunk.base_bits)
            width, high_width, exception_bytes = entry & 31, entry >> 5 & 31, entry >> 10 & 1023
            key = bit_field(entry, 20, chunk.base_bits)
            payload = data[at : at + 16 * width + exception_bytes]
            require(len(payload) == 16 * width + exception_bytes, "block bounds")
            require(width + high_width <= chunk.field_bits, "width")
            at += len(payload)
            for field in _block_fields(payload, width, high_width):
                key = chunk.next_key(key, field)
                keys.append(key)
    return keys


def _block_fields(payload: bytes, width: int, high_width: int) -> list[int]:
    """6.7."""
    low, section = number(payload[: 16 * width]), payload[16 * width :]
    fields = [bit_field(low, i * width, width) for i in range(BLOCK)]
    if high_width == 0:
        require(not section, "exceptions without a width")
        return fields
    octets = [octet for octet in range(16) if number(section[:2]) >> octet & 1]
    masks, highs = section[2 : 2 + len(octets)], number(section[2 + len(octets) :])
    require(len(masks) == len(octets), "octet masks")
    places = [8 * octet + k for octet, mask in zip(octets, masks, strict=True) for k in range(8) if mask >> k & 1]
    require(len(section) == 2 + len(octets) + -(-len(places) * high_width // 8), "exceptions do not fill their bytes")
    for i, place in enumerate(places):
        fields[place] |= bit_field(highs, i * high_width, high_width) << width
    return fields


# --- section 5: homeobox.bitpacking ---


def decode_bitpacking(encoded: bytes, element_size: int, n_elements: int) -> np.ndarray:
    """The words, as unsigned integers of `element_size` bytes."""
    require(len(encoded) >= 5, "shorter than a header")
    transform, n = struct.unpack_from("<BI", encoded)
    require(transform <= 2, "unknown transform")
    require(n == n_elements, "number of elements")
    n_blocks = -(-n // BLOCK)
    words, at = _lane_blocks(encoded, 5, n_blocks)
    if element_size == 8:
        highs, _ = _lane_blocks(encoded, at, n_blocks)
        words = [low | high << 32 for low, high in zip(words, highs, strict=True)]
    modulus = 1 << 8 * element_size
    values, previous = [], 0
    for word in words[:n]:  # 5.3
        if transform == 2:
            word = word >> 1 ^ (modulus - 1 if word & 1 else 0)
        previous = word if transform == 0 else (previous + word) % modulus
        values.append(previous)
    return np.array(values, f"u{element_size}")


def _lane_blocks(encoded: bytes, at: int, n_blocks: int) -> tuple[list[int], int]:
    """5.2: the words of `n_blocks` blocks from byte `at` on, and where they end."""
    words: list[int] = []
    for _ in range(n_blocks):
        require(at < len(encoded), "width missing")
        width = encoded[at]
        packed = encoded[at + 1 : at + 1 + 16 * width]
        require(width <= 32 and len(packed) == 16 * width, "block cut short or too wide")
        lanes = [b"".join(packed[16 * k + 4 * lane :][:4] for k in range(width)) for lane in range(4)]
        words += [bit_field(number(lanes[v % 4]), v // 4 * width, width) for v in range(BLOCK)]
        at += 1 + len(packed)
    return words, at
