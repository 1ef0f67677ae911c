"""FORMAT.md says enough: a slow decoder written from its text alone reads what the core wrote.

The decoder shares no code with the core. Where the two read an array differently, the text or the core is wrong.
"""

from __future__ import annotations

import json
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from numcodecs.zstd import Zstd

from homeobox import _core

HERE = Path(__file__).resolve().parent
BLOCK, GROUP_BLOCKS, HEADER_BYTES = 128, 4, 24
CONSTANT, RAW, ZSTD, PLAIN, DELTA, ZIGZAG, ZSTD_DELTA = range(7)
CODECS = json.dumps([{"name": "homeobox.bp128", "configuration": {"version": 1}}])


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


class Header:
    def __init__(self, data: bytes) -> None:
        self.mode, self.base_bits, self.step, self.offset_bytes = data[:4]
        self.n = number(data[4:8])
        self.modulus = number(data[8:12]) or 1 << 32
        self.reference = data[12:20]
        self.covered = data[:20]
        assert google_crc32c.value(self.covered) == number(data[20:24])

    def verify(self, group: int, checksum: bytes, data: bytes) -> bytes:
        assert google_crc32c.value(self.covered + group.to_bytes(4, "little") + data) == number(checksum)
        return data

    def key_after(self, key: int, field: int) -> int:
        if self.mode == PLAIN:
            return field
        if self.mode == ZIGZAG:
            return (key + ((field >> 1) ^ -(field & 1))) % (1 << 32)
        return (key + field + self.step) % self.modulus


def decode(encoded: bytes, dtype: np.dtype, n_elements: int) -> np.ndarray:
    header = Header(encoded[:HEADER_BYTES])
    if header.mode in (PLAIN, DELTA, ZIGZAG):
        return elements(header, grouped_keys(header, encoded), dtype, n_elements)
    body = header.verify(0, encoded[24:28], encoded[28:])
    if header.mode == CONSTANT:
        return np.full(n_elements, np.frombuffer(header.reference[: dtype.itemsize], dtype)[0])
    if header.mode == RAW:
        return np.frombuffer(body, dtype)
    data = Zstd().decode(body)
    if header.mode == ZSTD:
        shuffled = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, n_elements)
        return np.ascontiguousarray(shuffled.T).view(dtype).ravel()
    keys, key = [], 0
    for field in bytes(data):
        key = header.key_after(key, field)
        keys.append(key)
    return elements(header, keys, dtype, n_elements)


def elements(header: Header, keys: list[int], dtype: np.dtype, n_elements: int) -> np.ndarray:
    reference = int.from_bytes(header.reference, "little", signed=dtype.kind != "u")
    values = np.zeros(n_elements, dtype)
    values[: header.n] = [reference + key for key in keys[: header.n]]
    return values


def grouped_keys(header: Header, encoded: bytes) -> list[int]:
    n_blocks = -(-header.n // BLOCK)
    n_groups = -(-n_blocks // GROUP_BLOCKS)
    groups_at = HEADER_BYTES + n_groups * header.offset_bytes
    stored = encoded[HEADER_BYTES:groups_at]
    size = header.offset_bytes
    offsets = [groups_at + number(stored[i * size : (i + 1) * size]) for i in range(n_groups)] + [len(encoded)]
    keys: list[int] = []
    for group in range(n_groups):
        begin, end = offsets[group], offsets[group + 1]
        data = header.verify(group, encoded[begin : begin + 4], encoded[begin + 4 : end])
        blocks = min(GROUP_BLOCKS, n_blocks - group * GROUP_BLOCKS)
        entry_bits = 20 + header.base_bits
        at = -(-blocks * entry_bits // 8)
        entries = number(data[:at])
        for _ in range(blocks):
            width, high_width, exception_bytes = entries & 31, entries >> 5 & 31, entries >> 10 & 1023
            base = entries >> 20 & (1 << header.base_bits) - 1
            entries >>= entry_bits
            size_of_block = 16 * width + exception_bytes
            key = base
            for field in fields(data[at : at + size_of_block], width, high_width):
                key = header.key_after(key, field)
                keys.append(key)
            at += size_of_block
        assert at == len(data)
    return keys


def fields(payload: bytes, width: int, high_width: int) -> list[int]:
    low = number(payload[: 16 * width])
    values = [low >> i * width & (1 << width) - 1 for i in range(BLOCK)]
    exceptions = payload[16 * width :]
    if high_width == 0:
        assert not exceptions
        return values
    octets = [g for g in range(16) if number(exceptions[:2]) >> g & 1]
    masks = exceptions[2 : 2 + len(octets)]
    places = [8 * g + i for g, mask in zip(octets, masks, strict=True) for i in range(8) if mask >> i & 1]
    highs = number(exceptions[2 + len(octets) :])
    for order, place in enumerate(places):
        values[place] |= (highs >> order * high_width & (1 << high_width) - 1) << width
    assert len(exceptions) == 2 + len(octets) + -(-len(places) * high_width // 8)
    return values


NAMES = sorted(path.name for path in (HERE / "format1").glob("bp128_*"))


@pytest.mark.parametrize("name", NAMES)
def test_the_text_decodes_what_the_core_wrote(name: str) -> None:
    values = _core.Array.open(_core.FileStore(str(HERE / "format1")), name).read_all()
    # One chunk of all elements, so that this test needs no shard; it has the modes of the golden array.
    encoded = _core.encode_chunk(CODECS, values.dtype.name, list(values.shape), values)
    assert decode(encoded, values.dtype, len(values)).tobytes() == values.tobytes()


def test_golden_arrays_have_every_mode() -> None:
    first_bytes = {(HERE / "format1" / name / "c" / "0").read_bytes()[0] for name in NAMES}
    assert first_bytes == {CONSTANT, RAW, ZSTD, PLAIN, DELTA, ZIGZAG, ZSTD_DELTA}
