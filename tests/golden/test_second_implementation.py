"""FORMAT.md says enough: a second implementation, written from its text, reads what the core writes."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from golden.format_vectors import Vector, blocks, parse_bytes, vectors
from golden.second_array_reader import StoredArray, parse_manifest, split_shard
from golden.second_implementation import (
    CONSTANT,
    DELTA,
    PLAIN,
    RAW,
    ZIGZAG,
    ZSTD,
    ZSTD_DELTA,
    CorruptChunkError,
    crc32c,
    decode_bitpacking,
    decode_bp128,
)

from homeobox import _core
from homeobox.errors import CorruptDataError
from homeobox.schema import compute_layout_uid, make_stable_uid

BP128 = json.dumps([{"name": "homeobox.bp128", "configuration": {"version": 1}}])
BP128_VECTORS = vectors("homeobox.bp128")
BITPACKING_VECTORS = [(size, vector) for size in (4, 8) for vector in vectors(f"homeobox.bitpacking/{size}")]
DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "float32", "float64"]
FORMAT1 = Path(__file__).parent / "format1"
GOLDEN_ARRAYS = [
    path.parent.relative_to(FORMAT1).as_posix()
    for path in sorted(FORMAT1.rglob("zarr.json"))
    if json.loads(path.read_text())["node_type"] == "array"
]


def core_decode(chunk: bytes, dtype: str, n_elements: int) -> np.ndarray:
    return _core.decode_chunk(BP128, dtype, [n_elements], chunk)


def bitpacking(transform: str, element_size: int) -> str:
    configuration = {"transform": transform, "element_size": element_size}
    return json.dumps(["bytes", {"name": "homeobox.bitpacking", "configuration": configuration}])


# --- the vectors of the document ---


@pytest.mark.parametrize("vector", BP128_VECTORS, ids=lambda vector: vector.name)
def test_bp128_vectors(vector: Vector) -> None:
    values = vector.values
    assert decode_bp128(vector.chunk, values.dtype, len(values)).tobytes() == values.tobytes()
    assert core_decode(vector.chunk, values.dtype.name, len(values)).tobytes() == values.tobytes()
    if not vector.decode_only:
        assert _core.encode_chunk(BP128, values.dtype.name, [len(values)], values) == vector.chunk


def test_bp128_vectors_have_every_mode() -> None:
    assert {vector.chunk[0] for vector in BP128_VECTORS} == {CONSTANT, RAW, ZSTD, PLAIN, DELTA, ZIGZAG, ZSTD_DELTA}
    assert {vector.chunk[0] for vector in BP128_VECTORS if vector.decode_only} == {ZSTD, ZSTD_DELTA}


@pytest.mark.parametrize(("element_size", "vector"), BITPACKING_VECTORS, ids=lambda item: getattr(item, "name", item))
def test_bitpacking_vectors(element_size: int, vector: Vector) -> None:
    words = vector.values.view(f"u{element_size}")
    assert decode_bitpacking(vector.chunk, element_size, len(words)).tobytes() == words.tobytes()
    transforms = ("none", "delta", "delta_zigzag")
    configured = bitpacking(transforms[vector.chunk[0]], element_size)
    assert _core.encode_chunk(configured, words.dtype.name, [len(words)], words) == vector.chunk
    for transform in transforms:  # the byte in the chunk decides
        decoded = _core.decode_chunk(bitpacking(transform, element_size), words.dtype.name, [len(words)], vector.chunk)
        assert decoded.tobytes() == words.tobytes()


def test_the_document_has_the_vectors_of_the_format_it_extends() -> None:
    assert len(BITPACKING_VECTORS) == 13
    assert len(BP128_VECTORS) >= 15


def test_uids() -> None:
    (block,) = blocks("uids")
    lines = [line.split() for line in block.splitlines()]
    assert len(lines) == 8
    for kind, *texts, uid in lines:
        assert (compute_layout_uid(texts) if kind == "layout" else make_stable_uid(*texts)) == uid


def test_shard_index() -> None:
    (block,) = blocks("shard-index")
    stored = parse_bytes(block.partition("bytes")[2].replace("\n", " "))
    chunks = split_shard(bytes(range(37)) + b"x" * 21 + stored, 4)
    assert chunks == [bytes(range(37)), b"x" * 21, None, None]
    assert int.from_bytes(stored[-4:], "little") == crc32c(stored[:-4]) == _core.crc32c(stored[:-4])


def test_manifest() -> None:
    (block,) = blocks("manifest")
    objects = [(f"g/{key}", n_bytes, int(crc, 16)) for key, (n_bytes, crc) in parse_manifest(block.encode()).items()]
    assert len(objects) == 2
    store = _core.MemoryStore()
    _core.write_manifest(store, "g", objects)
    assert store.read("g/.hox-manifest") == block.encode()


# --- what the core encodes ---


def samples(dtype: np.dtype, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Chunks that lead to every mode, as far as the type allows."""
    high = {"b": 1, "u": 250, "i": 120, "f": 2000}[dtype.kind]
    small = rng.geometric(0.4, n).clip(0, high)
    spikes = np.where(rng.random(n) < 0.03, rng.integers(0, high + 1, n), small)
    rows = np.concatenate([np.sort(rng.choice(high + 1, min(high, 20), replace=False)) for _ in range(n // 15 + 1)])
    rows = np.resize(rows, n)
    walk = np.cumsum(rng.integers(-1, 2, n)).clip(-high if dtype.kind in "if" else 0, high)
    padded = np.concatenate([small[: n // 3], np.zeros(n - n // 3)])
    found = [small, spikes, rows, walk, padded, np.resize(rows[:13], n), np.full(n, 1)]
    bits = np.frombuffer(rng.bytes(n * dtype.itemsize), dtype)
    if dtype.itemsize >= 4:
        found += [np.cumsum(rng.integers(0, 90, n)) % 70_000, rng.integers(0, 1 << 31, n), rows + 5]
    if dtype.itemsize == 8 and dtype.kind in "iu":
        found += [found[-1].astype(dtype) + dtype.type(1 << 61), np.iinfo(dtype).max - small.astype(dtype)]
    if dtype.kind == "f":
        found += [np.sqrt(small), np.where(small == 2, -0.0, small), -small, small * 2.0**10]
    chunks = [np.asarray(values).astype(dtype) for values in found]
    return [*chunks, bits] if dtype.kind != "b" else chunks


@pytest.mark.parametrize("n", [1, 127, 513, 2000])
@pytest.mark.parametrize("name", DTYPES)
def test_random_chunks(name: str, n: int, rng: np.random.Generator) -> None:
    dtype = np.dtype(name)
    for values in samples(dtype, n, rng):
        encoded = _core.encode_chunk(BP128, name, [n], values)
        assert decode_bp128(encoded, dtype, n).tobytes() == values.tobytes(), encoded[0]


def test_random_chunks_have_every_mode(rng: np.random.Generator) -> None:
    every = [values for name in ("uint8", "uint32", "float32") for values in samples(np.dtype(name), 2000, rng)]
    modes = {_core.encode_chunk(BP128, values.dtype.name, [2000], values)[0] for values in every}
    assert modes == {CONSTANT, RAW, ZSTD, PLAIN, DELTA, ZIGZAG, ZSTD_DELTA}


def test_wide_group_offsets(rng: np.random.Generator) -> None:
    values = rng.integers(0, 1 << 20, 30_000, dtype=np.uint32)
    encoded = _core.encode_chunk(BP128, "uint32", [len(values)], values)
    assert (encoded[0], encoded[3]) == (PLAIN, 4)
    assert decode_bp128(encoded, values.dtype, len(values)).tobytes() == values.tobytes()


@pytest.mark.parametrize("element_size", [4, 8])
@pytest.mark.parametrize("transform", ["none", "delta", "delta_zigzag"])
def test_random_bitpacking(transform: str, element_size: int, rng: np.random.Generator) -> None:
    dtype = np.dtype(f"u{element_size}")
    for bits, n in itertools.product([0, 1, 7, 31, 8 * element_size], [0, 1, 128, 300]):
        values = rng.integers(0, 1 << bits, n, dtype=dtype, endpoint=False) if bits else np.zeros(n, dtype)
        encoded = _core.encode_chunk(bitpacking(transform, element_size), dtype.name, [n], values)
        assert decode_bitpacking(encoded, element_size, n).tobytes() == values.tobytes()


# --- damage ---


@pytest.mark.parametrize("vector", BP128_VECTORS, ids=lambda vector: vector.name)
def test_no_changed_byte_goes_unnoticed(vector: Vector, rng: np.random.Generator) -> None:
    n = len(vector.values)
    for at in range(len(vector.chunk)):
        damaged = bytearray(vector.chunk)
        damaged[at] ^= int(rng.integers(1, 256))
        with pytest.raises(CorruptChunkError):
            decode_bp128(bytes(damaged), vector.values.dtype, n)
        with pytest.raises(CorruptDataError):
            core_decode(bytes(damaged), vector.values.dtype.name, n)


@pytest.mark.parametrize("vector", BP128_VECTORS, ids=lambda vector: vector.name)
def test_no_shortened_chunk_goes_unnoticed(vector: Vector) -> None:
    n = len(vector.values)
    for length in range(len(vector.chunk)):
        with pytest.raises(CorruptChunkError):
            decode_bp128(vector.chunk[:length], vector.values.dtype, n)
        with pytest.raises(CorruptDataError):
            core_decode(vector.chunk[:length], vector.values.dtype.name, n)


def repair(chunk: bytearray) -> bytes:
    """The chunk with checksums that hold, as far as there are places for them."""
    chunk[20:24] = struct.pack("<I", crc32c(chunk[:20]))
    offset_bytes, n_packed = chunk[3], int.from_bytes(chunk[4:8], "little")
    if chunk[0] not in (PLAIN, DELTA, ZIGZAG):
        chunk[24:28] = struct.pack("<I", crc32c(chunk[:20] + bytes(4) + chunk[28:]))
    elif offset_bytes in (2, 4) and n_packed <= 1000:
        n_groups = -(-n_packed // 512)
        table = chunk[24 : 24 + n_groups * offset_bytes]
        begins = [24 + n_groups * offset_bytes + int(b) for b in np.frombuffer(bytes(table), f"<u{offset_bytes}")]
        for group, (begin, end) in enumerate(zip(begins, [*begins, len(chunk)][1:], strict=True)):
            if begin + 4 <= end <= len(chunk):
                covered = chunk[:20] + struct.pack("<I", group) + chunk[begin + 4 : end]
                chunk[begin : begin + 4] = struct.pack("<I", crc32c(covered))
    return bytes(chunk)


@pytest.mark.parametrize("vector", BP128_VECTORS, ids=lambda vector: vector.name)
def test_both_refuse_the_same_chunks(vector: Vector, rng: np.random.Generator) -> None:
    """Chunks that lie under checksums that hold: 6.9 says what is refused, the rest has the same elements."""
    dtype, n = vector.values.dtype, len(vector.values)
    for _ in range(60):
        chunk = bytearray(vector.chunk)
        for at in rng.choice([*range(20), *range(24, len(chunk))], 2):
            chunk[at] ^= 1 << int(rng.integers(8))
        encoded = repair(chunk[: int(rng.integers(28, len(chunk) + 1))] if rng.random() < 0.2 else chunk)
        if encoded[0] in (ZSTD, ZSTD_DELTA):
            continue  # what a damaged frame still yields is the library's affair
        try:
            expected = decode_bp128(encoded, dtype, n)
        except CorruptChunkError:
            with pytest.raises(CorruptDataError):
                core_decode(encoded, dtype.name, n)
            continue
        found = core_decode(encoded, dtype.name, n)
        if dtype.kind != "f":  # floats that no sum of whole numbers gives are not defined
            assert found.tobytes() == expected.tobytes(), encoded.hex()


# --- golden files ---


@pytest.mark.parametrize("name", GOLDEN_ARRAYS)
def test_golden_arrays(name: str) -> None:
    found = StoredArray(FORMAT1 / name).read()
    expected = _core.Array.open(_core.FileStore(str(FORMAT1)), name).read_all()
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()
