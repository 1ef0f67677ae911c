"""Chunks that lie: encoded with checksums that hold and fields that contradict each other, one list for all tests."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from homeobox import _core

DTYPE = np.dtype("<u4")
N_ELEMENTS = 1024
BP128 = '[{"name": "homeobox.bp128", "configuration": {"version": 1}}]'
ZSTD, GZIP, BLOSC = (f'["bytes", "{name}"]' for name in ("zstd", "gzip", "blosc"))
TWO_ZSTD = '["bytes", "zstd", "zstd"]'


def bitpacking(element_size: int) -> str:
    configuration = {"transform": "delta", "element_size": element_size}
    return json.dumps(["bytes", {"name": "homeobox.bitpacking", "configuration": configuration}, "crc32c"])


@dataclass(frozen=True)
class Lie:
    """An encoded chunk of 1,024 uint32 that must not decode; `message` is a part of what is said of it."""

    name: str
    codecs_json: str
    encoded: bytes
    message: str


def crc(data: bytes) -> bytes:
    return struct.pack("<I", _core.crc32c(data))


# --- homeobox.bp128, as FORMAT.md describes it ---

CONSTANT, RAW, ZSTD_BYTES, PLAIN, DELTA, ZIGZAG, ZSTD_DELTA = range(7)


@dataclass(frozen=True)
class Bp128:
    """A chunk by its fields; every checksum is computed, so that only the fields can be wrong."""

    mode: int = PLAIN
    base_bits: int = 0
    step: int = 0
    offset_bytes: int = 2
    n_packed: int = N_ELEMENTS
    modulus: int = 0
    reference: int = 0
    groups: list[bytes] = field(default_factory=list)  # without checksums
    offsets: list[int] | None = None  # None: where the groups are
    body: bytes | None = None  # of the modes without groups

    def encode(self) -> bytes:
        numbers = (self.mode, self.base_bits, self.step, self.offset_bytes, self.n_packed, self.modulus, self.reference)
        header = struct.pack("<BBBBIIQ", *numbers)
        sealed = header + crc(header)
        if self.body is not None:
            return sealed + self._checked(header, 0, self.body)
        groups = [self._checked(header, number, group) for number, group in enumerate(self.groups)]
        starts = np.cumsum([0] + [len(group) for group in groups])[:-1].tolist()
        offsets = starts if self.offsets is None else self.offsets
        width = self.offset_bytes
        return sealed + b"".join(offset.to_bytes(width, "little") for offset in offsets) + b"".join(groups)

    @staticmethod
    def _checked(header: bytes, number: int, group: bytes) -> bytes:
        return crc(header + struct.pack("<I", number) + group) + group


def group(
    entries: list[tuple[int, int, int, int]], payloads: bytes | None = None, *, base_bits: int = 0, n_bytes: int = 0
) -> bytes:
    """A group of blocks by (width, high width, exception bytes, base); zeros as payloads unless they are given."""
    bits = 0
    for i, (width, high_width, exception_bytes, base) in enumerate(entries):
        bits |= (width | high_width << 5 | exception_bytes << 10 | base << 20) << (i * (20 + base_bits))
    packed = bits.to_bytes((len(entries) * (20 + base_bits) + 7) // 8, "little")
    needed = sum(16 * width + exception_bytes for width, _, exception_bytes, _ in entries)
    return packed + (bytes(needed + n_bytes) if payloads is None else payloads)


EIGHT_BITS = [(8, 0, 0, 0)] * 4
GOOD = Bp128(groups=[group(EIGHT_BITS)] * 2)
GOOD_DELTA = Bp128(mode=DELTA, base_bits=7, modulus=100, groups=[group([(7, 0, 0, 0)] * 4, base_bits=7)] * 2)


def one_block(width: int, high_width: int, exceptions: bytes, *, cut: int = 0) -> list[bytes]:
    """Two groups; the second begins with this block."""
    fields = bytes(16 * width) + exceptions
    entries = [(width, high_width, len(exceptions), 0), *EIGHT_BITS[1:]]
    payloads = fields + bytes(3 * 128)
    return [group(EIGHT_BITS), group(entries, payloads[: len(payloads) - cut])]


def bp128_lies() -> Iterator[tuple[str, Bp128, str]]:
    yield "mode", replace(GOOD, mode=7), "unknown mode 7"
    yield "more elements than the chunk", replace(GOOD, n_packed=1025), "1025 elements in a chunk of 1024"
    yield "terabytes of elements", replace(GOOD, n_packed=2**32 - 1), "4294967295 elements in a chunk of 1024"
    yield "a group too many", replace(GOOD, groups=GOOD.groups[:1]), "group 0 lies at"
    yield "no group at all", replace(GOOD, groups=[], offsets=[]), "shorter than its header"
    yield "offsets of no group", replace(GOOD, groups=[b"12345"], offsets=[]), "lies at|too short for 2 groups"
    yield "offset bytes", replace(GOOD, offset_bytes=3), "offsets of 2 or 4 bytes expected, 3 found"
    size = len(GOOD.groups[0]) + 4
    yield "offsets that fall", replace(GOOD, offsets=[size, 0]), f"group 0 lies at {size} to 0"
    yield "an offset behind the end", replace(GOOD, offsets=[0, 60000]), "group 0 lies at 0 to 60000"
    wide = replace(GOOD, offset_bytes=4)
    yield "a huge offset", replace(wide, offsets=[0, 2**32 - 1]), "group 0 lies at 0 to 4294967295"
    yield "a group that is another", replace(GOOD, offsets=[0, 0]), "group 0 lies at 0 to 0"
    yield "base bits of no base", replace(GOOD, base_bits=5), "5 bits for a block's base"
    yield "base bits", replace(GOOD, mode=ZIGZAG, base_bits=33), "33 bits for a block's base"
    yield "base bits above the modulus", replace(GOOD_DELTA, modulus=64), "7 bits for a block's base"
    yield "a step of two", replace(GOOD_DELTA, step=2), "step 2"
    yield "a step without deltas", replace(GOOD, step=1), "step 1"
    yield "a modulus without deltas", replace(GOOD, modulus=4096), "modulus 4096 in a mode without one"
    yield "an odd modulus", replace(GOOD_DELTA, modulus=70001), "modulus 70001 is neither a power of two"
    one = [group([(7, 0, 0, 0)] * 4)] * 2
    yield (
        "fields above modulus 1",
        replace(GOOD_DELTA, modulus=1, base_bits=0, groups=one),
        "fields of 7 [+] 0 bits, more than 0",
    )
    too_wide = [group([(8, 0, 0, 0)] * 4, base_bits=7)] * 2
    yield "fields above the modulus", replace(GOOD_DELTA, groups=too_wide), "fields of 8 [+] 0 bits, more than 7"
    patched = [group([(5, 3, 2, 0)] * 4, base_bits=7)] * 2
    yield "exceptions above the modulus", replace(GOOD_DELTA, groups=patched), "fields of 5 [+] 3 bits, more than 7"
    yield "33 bits", replace(GOOD, groups=one_block(20, 13, bytes(2))), "fields of 20 [+] 13 bits, more than 32"
    yield "62 bits", replace(GOOD, groups=one_block(31, 31, bytes(2))), "fields of 31 [+] 31 bits, more than 32"
    yield "exceptions of no width", replace(GOOD, groups=one_block(8, 0, bytes(9))), "do not fill their 9 bytes"
    for n_bytes in (0, 1, 3, 1023):
        lie = replace(GOOD, groups=one_block(8, 2, bytes(n_bytes)))
        yield f"{n_bytes} bytes of no exception", lie, "exceptions of a block|a block of"
    every = b"\xff\xff" + b"\xff" * 16
    for n_bytes in (2, 17, 18, 18 + 31, 18 + 33):
        lie = replace(GOOD, groups=one_block(8, 2, (every + bytes(64))[:n_bytes]))
        yield f"128 exceptions in {n_bytes} bytes", lie, f"do not fill their {n_bytes} bytes"
    yield "a payload cut short", replace(GOOD, groups=one_block(8, 0, b"", cut=1)), "overruns its group"
    yield "payloads cut off", replace(GOOD, groups=[group(EIGHT_BITS), group(EIGHT_BITS, b"")]), "overruns its group"
    yield "no room for entries", replace(GOOD, groups=[group(EIGHT_BITS), b"123"]), "group 1 lies at"
    yield "a constant and more", replace(GOOD, mode=CONSTANT, body=b"1"), "1 bytes after a constant"
    yield "raw bytes missing", replace(GOOD, mode=RAW, body=bytes(4095)), "4096 bytes expected, 4095 found"
    yield "raw bytes left over", replace(GOOD, mode=RAW, body=bytes(4097)), "4096 bytes expected, 4097 found"
    yield "no zstd", replace(GOOD, mode=ZSTD_BYTES, body=b"no frame"), "zstd"
    yield "a zstd frame of a terabyte", replace(GOOD, mode=ZSTD_BYTES, body=zstd_frame(2**40)), "zstd"
    yield "a longer zstd frame", replace(GOOD, mode=ZSTD_BYTES, body=compressed(4097)), "zstd"
    yield "a shorter zstd frame", replace(GOOD, mode=ZSTD_BYTES, body=compressed(4095)), "4096 bytes expected"
    deltas = replace(GOOD, mode=ZSTD_DELTA, modulus=200, body=compressed(1024))
    yield "fewer deltas than said", replace(deltas, body=compressed(1023)), "1024 bytes expected, zstd holds 1023"
    yield "more deltas than said", replace(deltas, n_packed=1000), "zstd"
    for modulus in (0, 257):
        yield f"deltas modulo {modulus}", replace(deltas, modulus=modulus), f"modulus {modulus} in mode zstd_delta"
    yield "deltas with a step of two", replace(deltas, step=2), "step 2"


# --- the other codecs ---


def compressed(n_bytes: int) -> bytes:
    """`n_bytes` zeros as a zstd frame."""
    return _core.encode_chunk(ZSTD, "uint8", [n_bytes], np.zeros(n_bytes, np.uint8))


def zstd_frame(n_bytes: int | None, window_byte: int = 0) -> bytes:
    """A frame that claims `n_bytes` (None: says nothing) and a window of 2 ** (10 + window_byte // 8), and is empty."""
    descriptor = bytes([0xC0 if n_bytes is not None else 0, window_byte])
    size = b"" if n_bytes is None else struct.pack("<Q", n_bytes)
    return b"\x28\xb5\x2f\xfd" + descriptor + size + b"\x01\x00\x00"


def blosc_lie(at: int, value: int) -> bytes:
    """A blosc buffer with one 32-bit word of its header overwritten: 4 is its size, 8 a block's, 12 the encoded one."""
    data = np.arange(N_ELEMENTS, dtype=DTYPE)
    encoded = bytearray(_core.encode_chunk(BLOSC, "uint32", [N_ELEMENTS], data))
    encoded[at : at + 4] = struct.pack("<I", value)
    return bytes(encoded)


def stream(n: int, blocks: bytes, transform: int = 1) -> bytes:
    """A homeobox.bitpacking stream and the checksum around it."""
    encoded = struct.pack("<BI", transform, n) + blocks
    return encoded + crc(encoded)


def other_lies() -> Iterator[tuple[str, str, bytes, str]]:
    words = b"\x00" * 8  # eight blocks of width 0
    for element_size, blocks in ((4, words), (8, words)):
        codecs, n = bitpacking(element_size), 4 * N_ELEMENTS // element_size
        name = f"bitpacking {element_size}"
        yield f"{name}: terabytes", codecs, stream(2**32 - 1, blocks), "the stream says 4294967295"
        yield f"{name}: one element fewer", codecs, stream(n - 1, blocks), f"the stream says {n - 1}"
        yield f"{name}: transform", codecs, stream(n, blocks, transform=3), "unknown transform 3"
        yield f"{name}: width 33", codecs, stream(n, b"\x21" + bytes(4000)), "width 33, more than 32"
        yield f"{name}: width 255", codecs, stream(n, b"\xff" + bytes(9000)), "width 255, more than 32"
        yield f"{name}: block missing", codecs, stream(n, blocks[:7]), "ends before its last block"
        yield f"{name}: block cut", codecs, stream(n, b"\x08" + bytes(127)), "127 of its 128 bytes"
        yield f"{name}: no header", codecs, b"\x00\x01" + crc(b"\x00\x01"), "shorter than the header"
        yield f"{name}: no checksum", codecs, b"\x00", "no room for a checksum"
        yield f"{name}: checksum", codecs, stream(n, blocks)[:-1] + b"\x00", "checksum"
    for codecs in (ZSTD, TWO_ZSTD):
        yield f"{codecs}: terabyte frame", codecs, zstd_frame(2**40), "zstd"
        yield f"{codecs}: 2 GiB window", codecs, zstd_frame(None, 168), "zstd"
        yield f"{codecs}: 128 MiB window", codecs, zstd_frame(None, 136), "zstd"
        yield f"{codecs}: 64 MiB of zeros", codecs, BOMB, "zstd"
        yield f"{codecs}: no frame", codecs, b"no frame", "zstd"
        yield f"{codecs}: nothing", codecs, b"", "zstd"
    yield "zstd: two frames for one chunk", ZSTD, compressed(4096) * 2, "zstd"
    yield "gzip: bomb", GZIP, gzip.compress(bytes(64 << 20)), "gzip: more than 4096 bytes"
    yield "gzip: bomb in members", GZIP, gzip.compress(bytes(4096)) * 1000, "gzip: more than 4096 bytes"
    yield "gzip: too short", GZIP, gzip.compress(bytes(4095)), "4096 bytes expected, 4095 decoded"
    yield "gzip: no stream", GZIP, b"no stream at all", "gzip"
    wrong_crc = bytearray(gzip.compress(bytes(4096)))
    wrong_crc[-5] ^= 1
    yield "gzip: checksum", GZIP, bytes(wrong_crc), "gzip"
    for n_bytes in (0, 4095, 4097, 2**31 - 1, 2**31, 2**32 - 1):
        yield f"blosc: size {n_bytes}", BLOSC, blosc_lie(4, n_bytes), "blosc"
    for n_bytes in (0, 4097, 2**31 - 1, 2**32 - 1):
        yield f"blosc: block of {n_bytes}", BLOSC, blosc_lie(8, n_bytes), "blosc"
    for n_bytes in (0, 15, 2**31 - 1, 2**32 - 1):
        yield f"blosc: encoded size {n_bytes}", BLOSC, blosc_lie(12, n_bytes), "blosc"
    yield "blosc: version", BLOSC, blosc_lie(0, 0xFFFFFFFF), "blosc"
    yield "bytes: cut", '["bytes"]', bytes(4095), "4096 bytes expected, 4095 found"
    yield "bytes: left over", '["bytes"]', bytes(4097), "4096 bytes expected, 4097 found"
    yield "shuffle", '["bytes", "numcodecs.shuffle"]', bytes(4092), "4096 bytes expected, found 4092"


BOMB = compressed(64 << 20)


def lies() -> list[Lie]:
    found = [Lie(f"bp128: {name}", BP128, chunk.encode(), message) for name, chunk, message in bp128_lies()]
    return found + [Lie(*parts) for parts in other_lies()]


def healthy_chunks() -> dict[str, tuple[str, bytes]]:
    """Name -> codecs and an encoded chunk that decodes."""
    data = (np.arange(N_ELEMENTS, dtype=DTYPE) * 7919) % 1000
    data[::100] = 60000
    codecs = [BP128, ZSTD, TWO_ZSTD, GZIP, BLOSC, bitpacking(4), bitpacking(8)]
    found = {codec: (codec, _core.encode_chunk(codec, "uint32", [N_ELEMENTS], data)) for codec in codecs}
    found["plain by hand"] = (BP128, GOOD.encode())
    found["delta by hand"] = (BP128, GOOD_DELTA.encode())
    return found


def array_with(codecs_json: str, encoded: bytes) -> _core.MemoryStore:
    """A store with the array "a" of three chunks in one shard; chunk 1 is `encoded`, the others are fill values."""
    store = _core.MemoryStore()
    _core.write_array(store, "a", np.zeros(3 * N_ELEMENTS, DTYPE), [N_ELEMENTS], [3 * N_ELEMENTS], codecs_json)
    absent = 2**64 - 1
    table = struct.pack("<6Q", absent, absent, 0, len(encoded), absent, absent)
    store.write("a/c/0", encoded + table + crc(table))
    return store
