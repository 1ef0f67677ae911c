"""Arrays cross between zarr-python and the core, both ways, and come out equal."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.codecs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.codecs.numcodecs import FixedScaleOffset, Shuffle

import homeobox.codecs  # registers our codecs in zarr-python
from homeobox import _core

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
]  # fmt: skip

# numcodecs' filters are no part of the specification, and zarr-python says so each time.
pytestmark = pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3 specification")


@dataclasses.dataclass
class Plan:
    """One array: how it is stored and what it holds."""

    data: np.ndarray
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    filters: list[Any]
    serializer: Any
    compressors: list[Any]
    index_location: str
    key_encoding: dict[str, str]

    def codecs_json(self) -> str:
        return json.dumps([codec.to_dict() for codec in (*self.filters, self.serializer, *self.compressors)])


def _contents(draw: st.DrawFn, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    data = rng.integers(0, 100, shape).astype(dtype)
    if draw(st.booleans()):  # every bit pattern of the type
        data = rng.integers(0, 256, (*shape, dtype.itemsize), dtype=np.uint8).view(dtype).reshape(shape)
        if dtype.kind == "b":
            data = rng.integers(0, 2, shape).astype(bool)
    # Runs of the fill value, so that chunks and whole shards are absent.
    flat = data.reshape(-1)
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, max(0, flat.size - 1)))
        flat[begin : begin + draw(st.integers(0, flat.size))] = 0
    return data


def _compressor(draw: st.DrawFn, dtype: np.dtype) -> Any:
    kind = draw(st.sampled_from(["zstd", "gzip", "blosc", "crc32c", "shuffle"]))
    if kind == "zstd":
        return zarr.codecs.ZstdCodec(level=draw(st.integers(-5, 5)), checksum=draw(st.booleans()))
    if kind == "gzip":
        return zarr.codecs.GzipCodec(level=draw(st.integers(0, 9)))
    if kind == "blosc":
        return zarr.codecs.BloscCodec(
            cname=draw(st.sampled_from(["lz4", "lz4hc", "blosclz", "zlib", "zstd"])),
            clevel=draw(st.integers(0, 9)),
            shuffle=draw(st.sampled_from(["noshuffle", "shuffle", "bitshuffle"])),
            typesize=dtype.itemsize,
            blocksize=draw(st.sampled_from([0, 64])),
        )
    return zarr.codecs.Crc32cCodec() if kind == "crc32c" else Shuffle(elementsize=1)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rank = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, 12)) for _ in range(rank))
    chunks = tuple(draw(st.integers(1, 6)) for _ in range(rank))
    shards = None
    if draw(st.booleans()):
        shards = tuple(chunk * draw(st.integers(1, 4)) for chunk in chunks)
    filters: list[Any] = []
    if draw(st.booleans()):
        filters = [zarr.codecs.TransposeCodec(order=draw(st.permutations(range(rank))))]
    endian = draw(st.sampled_from(["little", "big"])) if dtype.itemsize > 1 else None
    serializer: Any = zarr.codecs.BytesCodec(endian=endian)
    compressors = [_compressor(draw, dtype) for _ in range(draw(st.integers(0, 2)))]
    special = draw(st.sampled_from(["none", "bitpacking", "bp128", "shuffle"]))
    if special == "bitpacking" and dtype in (np.dtype("uint32"), np.dtype("int64")):
        transform = draw(st.sampled_from(["none", "delta", "delta_zigzag"]))
        compressors.insert(0, homeobox.codecs.BitpackingCodec(transform=transform))
    elif special == "bp128" and dtype.itemsize > 1:
        serializer = homeobox.codecs.BP128Codec()
    elif special == "shuffle":
        compressors.insert(0, Shuffle(elementsize=dtype.itemsize))
    return Plan(
        data=_contents(draw, dtype, shape),
        chunks=chunks,
        shards=shards,
        filters=filters,
        serializer=serializer,
        compressors=compressors,
        index_location=draw(st.sampled_from(["start", "end"])),
        key_encoding={"name": draw(st.sampled_from(["default", "v2"])), "separator": draw(st.sampled_from(["/", "."]))},
    )


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    # Bit for bit: NaN payloads and -0.0 count.
    assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(expected).tobytes()


def zarr_write(root: Path, plan: Plan) -> None:
    inner: dict[str, Any] = {
        "filters": plan.filters,
        "serializer": plan.serializer,
        "compressors": plan.compressors or None,
    }
    shards: Any = plan.shards and {"shape": plan.shards, "index_location": plan.index_location}
    array = zarr.create_array(
        root / "array",
        shape=plan.data.shape,
        dtype=plan.data.dtype,
        chunks=plan.chunks,
        shards=shards,
        fill_value=0,
        chunk_key_encoding=plan.key_encoding,
        **inner,
    )
    array[...] = plan.data


def core_write(root: Path, plan: Plan) -> None:
    _core.write_array(
        _core.FileStore(root),
        "array",
        plan.data,
        list(plan.chunks),
        plan.shards and list(plan.shards),
        plan.codecs_json(),
        index_location=plan.index_location,
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans(), seed=st.integers(0, 2**32 - 1))
def test_the_core_reads_what_zarr_python_writes(plan: Plan, seed: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        zarr_write(Path(directory), plan)
        expected = zarr.open_array(Path(directory) / "array", mode="r")[...]
        for store in (_core.FileStore(directory), _core.CountingStore(_core.FileStore(directory))):
            check_reads(_core.Array.open(store, "array"), expected, seed)


def check_reads(array: _core.Array, expected: np.ndarray, seed: int) -> None:
    assert_same(array.read_all(), expected)
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, np.array(expected.shape) + 1) for _ in range(2))
    begin, end = np.minimum(a, b), np.maximum(a, b)
    box = tuple(slice(i, j) for i, j in zip(begin, end, strict=True))
    assert_same(array.read(begin.tolist(), end.tolist()), expected[box])
    c, d = rng.integers(0, len(expected) + 1, (2, rng.integers(0, 6)))
    begins, ends = np.minimum(c, d), np.maximum(c, d)
    rows = [expected[i:j] for i, j in zip(begins, ends, strict=True)]
    assert_same(array.read_ranges(begins, ends), np.concatenate([expected[:0], *rows]))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans())
def test_zarr_python_reads_what_the_core_writes(plan: Plan) -> None:
    with tempfile.TemporaryDirectory() as directory:
        core_write(Path(directory), plan)
        assert_same(zarr.open_array(Path(directory) / "array", mode="r")[...], plan.data)
        assert_same(_core.Array.open(_core.FileStore(directory), "array").read_all(), plan.data)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans(), slabs=st.lists(st.integers(0, 9), max_size=8))
def test_the_slabs_of_append_do_not_matter(plan: Plan, slabs: list[int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        core_write(Path(directory) / "whole", plan)
        writer = _core.ArrayWriter(
            _core.FileStore(Path(directory) / "slabs"),
            "array",
            plan.data.dtype.name,
            list(plan.data.shape),
            list(plan.chunks),
            plan.shards and list(plan.shards),
            plan.codecs_json(),
            index_location=plan.index_location,
        )
        row = 0
        for n_rows in (*slabs, len(plan.data)):
            writer.append(plan.data[row : row + n_rows])
            row = min(row + n_rows, len(plan.data))
        writer.finish()
        whole, slabwise = (
            {f.relative_to(root): f.read_bytes() for f in root.rglob("*") if f.is_file()}
            for root in (Path(directory) / "whole", Path(directory) / "slabs")
        )
        assert slabwise == whole


@pytest.mark.parametrize("dtype", DTYPES)
def test_objects_equal_those_of_zarr_python(tmp_path: Path, dtype: str, rng: np.random.Generator) -> None:
    plan = Plan(
        data=rng.integers(0, 2, 1000).astype(dtype),
        chunks=(64,),
        shards=(256,),
        filters=[],
        serializer=zarr.codecs.BytesCodec(endian="little" if np.dtype(dtype).itemsize > 1 else None),
        compressors=[zarr.codecs.ZstdCodec()],
        index_location="end",
        key_encoding={"name": "default", "separator": "/"},
    )
    zarr_write(tmp_path / "theirs", plan)
    core_write(tmp_path / "ours", plan)
    for theirs in (tmp_path / "theirs").rglob("*"):
        if theirs.is_file():
            assert (tmp_path / "ours" / theirs.relative_to(tmp_path / "theirs")).read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("dtype", "fill_value"),
    [
        ("bool", True), ("int8", -3), ("int64", -(2**63)), ("uint64", 2**64 - 1), ("float16", 1.0009765625),
        ("float16", 6e-8), ("float32", 0.1), ("float32", float("nan")), ("float64", float("-inf")),
        ("float64", float("inf")), ("float64", -0.0), ("float64", 5e-324),
    ],
)  # fmt: skip
def test_fill_values(tmp_path: Path, dtype: str, fill_value: Any) -> None:
    theirs = zarr.create_array(tmp_path / "array", shape=(5, 3), chunks=(2, 2), dtype=dtype, fill_value=fill_value)
    array = _core.Array.open(_core.FileStore(tmp_path), "array")
    assert_same(array.read_all(), theirs[...])
    assert_same(array.read([1, 1], [3, 2]), theirs[1:3, 1:2])
    assert (
        json.loads(array.metadata)["fill_value"] == json.loads((tmp_path / "array/zarr.json").read_text())["fill_value"]
    )


def test_hexadecimal_fill_value(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "array", shape=(2,), chunks=(2,), dtype="float32", fill_value=1)
    path = tmp_path / "array/zarr.json"
    path.write_text(path.read_text().replace('"fill_value": 1.0', '"fill_value": "0x7fc00001"'))
    array = _core.Array.open(_core.FileStore(tmp_path), "array")
    assert array.read_all().view("u4").tolist() == [0x7FC00001] * 2
    assert json.loads(array.metadata)["fill_value"] == "0x7fc00001"


@settings(max_examples=60)
@given(
    decoded=st.sampled_from(["f4", "f8", "i2", "i4", "u1", "i8"]),
    stored=st.sampled_from(["i2", "i4", "i8", "u4", "f4", "f8"]),
    offset=st.sampled_from([0, 1000, 2.5]),
    scale=st.sampled_from([1, 10, 0.5, 3.7]),
    values=st.lists(st.integers(1000, 2000), min_size=1, max_size=50),
)
def test_fixedscaleoffset_computes_as_numcodecs(
    decoded: str, stored: str, offset: float, scale: float, values: list[int]
) -> None:
    if decoded == "u1":  # NumPy would wrap the product of small integers, the core does not
        offset, scale, values = 0, 3.7, [value % 200 for value in values]
    data = np.array(values).astype(decoded) + np.array(0.3).astype(decoded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = FixedScaleOffset(offset=offset, scale=scale, dtype=decoded, astype=stored)
    encoded = reference._codec.encode(data)
    codecs = json.dumps([reference.to_dict(), "bytes"])
    ours = _core.encode_chunk(codecs, data.dtype.name, list(data.shape), data)
    assert ours == encoded.tobytes()
    expected = reference._codec.decode(encoded)
    assert_same(_core.decode_chunk(codecs, data.dtype.name, list(data.shape), ours), expected)


def test_several_frames_and_members_decode() -> None:
    import gzip

    from numcodecs.zstd import Zstd

    data = np.arange(100, dtype="<u4")
    halves = data[:50].tobytes(), data[50:].tobytes()
    zstd = b"".join(Zstd().encode(half) for half in halves)
    assert_same(_core.decode_chunk('["bytes", "zstd"]', "uint32", [100], zstd), data)
    zipped = b"".join(gzip.compress(half) for half in halves)
    assert_same(_core.decode_chunk('["bytes", "gzip"]', "uint32", [100], zipped), data)
