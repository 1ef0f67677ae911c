"""ShardReader: ranges of rows equal zarr-python's slices, wherever the array lies."""

from __future__ import annotations

import numpy as np
import obstore.store
import pytest
import zarr
import zarr.storage

import homeobox as hox
from homeobox import _core
from homeobox.errors import (
    CorruptDataError,
    HomeoboxError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    UnsupportedError,
)

SHAPES = {
    "flat": ((1000,), (16,), (64,)),
    "rows": ((100, 7), (8, 4), (32, 8)),
    "tiles": ((20, 3, 8, 8), (2, 3, 8, 8), (4, 3, 8, 8)),
}


def data_of(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 200, shape).astype(dtype)


def local_store(folder):
    return zarr.storage.LocalStore(folder)


def obstore_local_store(folder):
    return zarr.storage.ObjectStore(obstore.store.LocalStore(str(folder)))


def obstore_memory_store(_folder):
    return zarr.storage.ObjectStore(obstore.store.MemoryStore())


def memory_store(_folder):
    return zarr.storage.MemoryStore()


@pytest.mark.parametrize("store", [local_store, obstore_local_store, obstore_memory_store, memory_store])
@pytest.mark.parametrize("path", ["", "a/b"])
@pytest.mark.parametrize("kind", SHAPES)
def test_ranges_equal_slices(tmp_path, rng, store, path, kind):
    shape, chunks, shards = SHAPES[kind]
    data = data_of(shape, "uint16")
    array = zarr.create_array(store(tmp_path), name=path or None, data=data, chunks=chunks, shards=shards)
    reader = hox.ShardReader(array)
    assert reader.shape == shape
    assert reader.dtype == np.uint16
    starts = rng.integers(0, shape[0], 50)
    ends = np.minimum(starts + rng.integers(0, 30, 50), shape[0])
    values, lengths = reader.read_ranges(starts, ends)
    assert values.dtype == np.uint16
    assert lengths.dtype == np.int64
    np.testing.assert_array_equal(lengths, ends - starts)
    np.testing.assert_array_equal(values, np.concatenate([array[a:b] for a, b in zip(starts, ends, strict=True)]))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shards", [(64,), None])
def test_values_have_the_type_of_the_array(dtype, shards):
    data = data_of((1000,), dtype)
    array = zarr.create_array({}, data=data, chunks=(16,), shards=shards)
    values, _ = hox.ShardReader(array).read_ranges([900, 0], [1000, 1])
    assert values.dtype == data.dtype
    np.testing.assert_array_equal(values, np.concatenate([data[900:], data[:1]]))


def test_the_ways_to_name_an_array(tmp_path):
    data = np.arange(100, dtype=np.int32)
    store = _core.FileStore(str(tmp_path))
    _core.write_array(store, "g/a", data, [8], [32], '["bytes", "crc32c"]')
    stores = [store, tmp_path, str(tmp_path), obstore.store.LocalStore(str(tmp_path))]
    arrays = [_core.Array.open(store, "g/a"), *((s, "g/a") for s in stores)]
    for array in arrays:
        values, lengths = hox.ShardReader(array).read_ranges([10], [12])
        assert values.tolist() == [10, 11]
        assert lengths.tolist() == [2]
    assert hox.RustShardReader is hox.ShardReader
    assert repr(hox.ShardReader(arrays[0])) == "ShardReader('g/a', shape (100,), int32)"


def test_empty_and_inverted_ranges():
    reader = hox.ShardReader(zarr.create_array({}, data=np.arange(10), chunks=(5,)))
    for starts, ends in [([], []), ([3], [3]), ([7, 99], [2, 0])]:
        values, lengths = reader.read_ranges(starts, ends)
        assert values.dtype == np.int64
        assert values.shape == (0,)
        assert lengths.tolist() == [0] * len(starts)
    values, lengths = reader.read_ranges(np.array([8, 5], np.uint32), np.array([2, 7], np.uint32))
    assert values.tolist() == [5, 6]
    assert lengths.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("starts", "ends", "error", "message"),
    [
        ([0], [11], OutOfRangeError, "range 0: 0 to 11 leaves 0 to 10"),
        ([0, -1], [1, 5], OutOfRangeError, "range 1: -1 to 5 leaves 0 to 10"),
        ([0, 1], [1], InvalidArgumentError, "as many ends as starts expected, found 1 ends and 2 starts"),
        ([0.5], [1], InvalidArgumentError, "starts: integers expected, found float64"),
        ([0], ["1"], InvalidArgumentError, "ends: integers expected"),
        ([[0]], [1], InvalidArgumentError, "starts: one dimension expected, found 2"),
        ([0], 1, InvalidArgumentError, "ends: one dimension expected, found 0"),
        ([0], np.array([2**63], np.uint64), InvalidArgumentError, "ends: 9223372036854775808 is beyond"),
    ],
)
def test_ranges_that_are_refused(starts, ends, error, message):
    reader = hox.ShardReader(zarr.create_array({}, data=np.arange(10), chunks=(5,)))
    with pytest.raises(error, match=message):
        reader.read_ranges(starts, ends)


def test_arrays_that_are_refused(tmp_path):
    cases = [
        (np.arange(3), InvalidArgumentError, "found ndarray"),
        ((1, "a"), InvalidArgumentError, "a path, an obstore store or a store of the core expected, found int"),
        ((tmp_path, "nobody"), NotFoundError, "no array nobody"),
        (zarr.create_array({}, data=np.arange(3), zarr_format=2), UnsupportedError, "Zarr v3 expected, found v2"),
        (zarr.create_array({}, data=np.arange(3, dtype="c16")), UnsupportedError, "complex128"),
    ]
    with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as zipped:
        cases.append((zarr.create_array(zipped, data=np.arange(3)), UnsupportedError, "found ZipStore"))
        for array, error, message in cases:
            with pytest.raises(error, match=message):
                hox.ShardReader(array)


def test_damage_is_named(tmp_path):
    zarr.create_array(str(tmp_path), name="a", data=np.arange(1, 101), chunks=(10,), shards=(50,))
    shard = tmp_path / "a" / "c" / "1"
    shard.write_bytes(shard.read_bytes()[:-3])
    reader = hox.ShardReader((tmp_path, "a"))
    assert reader.read_ranges([0], [50])[0][-1] == 50
    with pytest.raises(CorruptDataError, match="array a, shard a/c/1"):
        reader.read_ranges([0], [51])
    assert issubclass(CorruptDataError, HomeoboxError)
