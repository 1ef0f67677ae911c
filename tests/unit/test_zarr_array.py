"""Arrays of the core: what they refuse, what they cost, and what they say about damage."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
import pytest

from homeobox import _core
from homeobox.errors import (
    ConflictError,
    CorruptDataError,
    HomeoboxError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    StoreError,
    UnsupportedError,
)

BYTES = '["bytes"]'
ZSTD = '["bytes", "zstd"]'
CHECKED = '["bytes", "crc32c"]'
DATA = np.arange(1, 101, dtype=np.uint32)


def write(store: _core.Store, data: np.ndarray = DATA, chunk: int = 8, shard: int | None = 32, **options: Any) -> None:
    _core.write_array(store, "array", data, [chunk], shard and [shard], options.pop("codecs_json", BYTES), **options)


def edit_metadata(store: _core.Store, **changes: Any) -> None:
    metadata = json.loads(store.read("array/zarr.json"))
    metadata.update(changes)
    store.write("array/zarr.json", json.dumps(metadata).encode())


@pytest.fixture
def store() -> _core.MemoryStore:
    return _core.MemoryStore()


def test_properties(store):
    write(store, attributes_json='{"unit": "counts"}')
    array = _core.Array.open(store, "array")
    assert (array.shape, array.dtype, array.path) == ((100,), "uint32", "array")
    assert json.loads(array.metadata)["attributes"] == {"unit": "counts"}
    assert array.metadata == store.read("array/zarr.json").decode()


def test_missing_array(store):
    with pytest.raises(NotFoundError, match="no array other in memory"):
        _core.Array.open(store, "other")


def test_a_group_is_no_array(store):
    _core.write_group(store, "group")
    with pytest.raises(NotFoundError, match="group"):
        _core.Array.open(store, "group")


@pytest.mark.parametrize(
    ("begin", "end", "error"),
    [([0], [101], OutOfRangeError), ([5], [4], OutOfRangeError), ([0, 0], [1, 1], InvalidArgumentError)],
)
def test_read_refuses(store, begin, end, error):
    write(store)
    with pytest.raises(error, match="array array"):
        _core.Array.open(store, "array").read(begin, end)


@pytest.mark.parametrize("bad", [(-1, 4), (3, 2), (0, 101), (101, 101)])
def test_read_ranges_refuses(store, bad):
    write(store)
    array = _core.Array.open(store, "array")
    with pytest.raises(OutOfRangeError, match=f"range 1: {bad[0]} to {bad[1]} leaves 0 to 100"):
        array.read_ranges(np.array([0, bad[0]]), np.array([1, bad[1]]))
    with pytest.raises(InvalidArgumentError, match="as many ends as begins"):
        array.read_ranges(np.array([0, 1]), np.array([1]))


def test_empty_arrays_and_ranges(store):
    write(store, DATA[:0])
    array = _core.Array.open(store, "array")
    assert array.read_all().shape == (0,)
    assert array.read_ranges(np.array([0, 0]), np.array([0, 0])).shape == (0,)
    assert [key for key, _ in store.list()] == ["array/zarr.json"]


def test_rows_without_elements(store):
    objects = _core.write_array(store, "array", np.zeros((5, 0), "f4"), [2, 1], [4, 1], BYTES)
    assert [key for key, _, _ in objects] == ["array/zarr.json"]
    assert _core.Array.open(store, "array").read_ranges(np.array([1]), np.array([4])).shape == (3, 0)


def test_a_shard_of_fill_values_is_written_for_0_2_2(store):
    write(store, np.zeros(100, np.uint32), codecs_json=ZSTD)
    assert [key for key, _ in store.list()] == [*(f"array/c/{i}" for i in range(4)), "array/zarr.json"]
    assert not _core.Array.open(store, "array").read_all().any()


def test_an_unsharded_chunk_of_fill_values_is_left_out(store):
    write(store, np.zeros(100, np.uint32), shard=None)
    assert [key for key, _ in store.list()] == ["array/zarr.json"]
    assert not _core.Array.open(store, "array").read_all().any()


def test_negative_zero_is_no_fill_value(store):
    write(store, np.full(4, -0.0, np.float32), shard=None)
    assert np.signbit(_core.Array.open(store, "array").read_all()).all()


# --- writing ---


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dtype": "complex64"}, InvalidArgumentError, "complex64"),
        ({"shape": []}, InvalidArgumentError, "at least one axis"),
        ({"chunk_shape": [0]}, InvalidArgumentError, "at least 1"),
        ({"chunk_shape": [8, 8]}, InvalidArgumentError, "axes expected"),
        ({"shard_shape": [12]}, InvalidArgumentError, "not a multiple"),
        ({"chunk_shape": [2**40], "shard_shape": None}, UnsupportedError, "larger than"),
        ({"codecs_json": "["}, InvalidArgumentError, "codecs_json: not JSON"),
        ({"codecs_json": "[" * 100}, InvalidArgumentError, "nested"),
        ({"codecs_json": "[]"}, InvalidArgumentError, "array-to-bytes codec is missing"),
        ({"codecs_json": '["bytes", "bytes"]'}, InvalidArgumentError, "second array-to-bytes"),
        ({"codecs_json": '["zstd"]'}, InvalidArgumentError, "needs an array-to-bytes"),
        ({"codecs_json": '["bytes", {"name": "transpose", "configuration": {"order": [0]}}]'}, InvalidArgumentError,
         "cannot follow"),
        ({"codecs_json": '["bytes", "numcodecs.lz4"]'}, UnsupportedError, 'codec "numcodecs.lz4"'),
        ({"codecs_json": '["bytes", {"name": "zstd", "configuration": {"level": 99}}]'}, InvalidArgumentError, "level"),
        ({"codecs_json": '["bytes", {"name": "zstd", "configuration": {"fast": 1}}]'}, InvalidArgumentError, "fast"),
        ({"attributes_json": "[]"}, InvalidArgumentError, "attributes"),
        ({"index_location": "middle"}, InvalidArgumentError, "middle"),
    ],
)  # fmt: skip
def test_writer_refuses_before_it_writes(store, change, error, message):
    options = {
        "dtype": "uint32",
        "shape": [100],
        "chunk_shape": [8],
        "shard_shape": [32],
        "codecs_json": BYTES,
        **change,
    }
    with pytest.raises(error, match=message):
        _core.ArrayWriter(store, "array", **options)
    assert store.list() == []


def writer(store: _core.Store) -> _core.ArrayWriter:
    return _core.ArrayWriter(store, "array", "uint32", [100, 2], [8, 2], [32, 2], BYTES)


@pytest.mark.parametrize(
    "rows",
    [np.zeros((3, 2), np.int32), np.zeros((3, 3), np.uint32), np.zeros(3, np.uint32), np.zeros((101, 2), np.uint32)],
)
def test_append_refuses(store, rows):
    array = writer(store)
    with pytest.raises(InvalidArgumentError, match="expected"):
        array.append(rows)
    array.append(np.ones((100, 2), np.uint32))
    array.finish()
    assert _core.Array.open(store, "array").read_all().sum() == 200


def test_finish_refuses_missing_rows_and_a_second_call(store):
    array = writer(store)
    array.append(np.ones((99, 2), np.uint32))
    with pytest.raises(InvalidArgumentError, match="100 rows expected, 99 appended"):
        array.finish()
    with pytest.raises(NotFoundError):
        _core.Array.open(store, "array")
    array.append(np.asfortranarray(np.ones((1, 2), np.uint32)))
    objects = array.finish()
    assert array.objects == objects
    with pytest.raises(InvalidArgumentError, match="finished already"):
        array.finish()
    with pytest.raises(InvalidArgumentError, match="finished already"):
        array.append(np.ones((1, 2), np.uint32))


def test_objects_describe_what_is_stored(store):
    objects = _core.write_array(store, "array", DATA, [8], [32], ZSTD)
    assert [key for key, _, _ in objects] == ["array/c/0", "array/c/1", "array/c/2", "array/c/3", "array/zarr.json"]
    for key, n_bytes, crc32c in objects:
        stored = store.read(key)
        assert (len(stored), _core.crc32c(stored)) == (n_bytes, crc32c)


def test_an_array_is_not_overwritten(store):
    write(store)
    before = {key: store.read(key) for key, _ in store.list()}
    with pytest.raises(ConflictError, match="array array is there already"):
        write(store, DATA[:10])
    assert {key: store.read(key) for key, _ in store.list()} == before


def test_a_writer_is_useless_after_a_failed_write():
    inner = _core.MemoryStore()
    # Request 1 looks for an array that is there; 2 to 5 write the shards, 6 the metadata.
    for fail_on in range(2, 7):
        array = writer(_core.FailingStore(inner, fail_on=fail_on))
        with pytest.raises(StoreError):
            write_rows_and_finish(array)
        with pytest.raises(InvalidArgumentError, match="an earlier append failed"):
            array.append(np.ones((1, 2), np.uint32))
        with pytest.raises(InvalidArgumentError, match="an earlier append failed"):
            array.finish()
        with pytest.raises(NotFoundError):
            _core.Array.open(inner, "array")


def write_rows_and_finish(array: _core.ArrayWriter) -> None:
    array.append(np.ones((100, 2), np.uint32))
    array.finish()


def test_shards_are_written_while_others_are_encoded():
    store = _core.SlowStore(_core.MemoryStore(), delay_s=0.3)
    array = _core.ArrayWriter(store, "array", "uint32", [800], [10], [100], BYTES)
    started = time.monotonic()
    array.append(np.ones(800, np.uint32))
    array.finish()
    # One look, eight shards of which four at a time are under way, one zarr.json: 1.2 s, or 3 s one after another.
    assert time.monotonic() - started < 2.7
    assert len(array.objects) == 9


# --- metadata of others ---


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"zarr_format": 2}, UnsupportedError, "zarr_format 2"),
        ({"data_type": "complex64"}, UnsupportedError, "complex64"),
        ({"data_type": {"name": "numpy.datetime64", "configuration": {"unit": "s"}}}, UnsupportedError, "datetime64"),
        ({"chunk_grid": {"name": "rectangular"}}, UnsupportedError, "rectangular"),
        ({"chunk_key_encoding": {"name": "other"}}, UnsupportedError, "other"),
        ({"storage_transformers": [{"name": "x"}]}, UnsupportedError, "storage_transformers"),
        ({"extension": {"name": "x"}}, UnsupportedError, "extension"),
        ({"fill_value": -1}, CorruptDataError, "fill_value"),
        ({"fill_value": "NaN"}, CorruptDataError, "fill_value"),
        ({"shape": [-1]}, CorruptDataError, "shape"),
        ({"shape": [100, 1]}, CorruptDataError, "chunk_shape"),
        ({"shape": [2**62]}, CorruptDataError, "too many"),
        ({"shape": [2**60]}, UnsupportedError, "shards"),
        ({"codecs": ["bytes", "vlen-utf8"]}, UnsupportedError, "vlen-utf8"),
        ({"codecs": [{"name": "transpose", "configuration": {"order": [0]}},
                     {"name": "sharding_indexed", "configuration": {"chunk_shape": [8], "codecs": ["bytes"]}}]},
         UnsupportedError, "sharding_indexed beside"),
        ({"codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [7], "codecs": ["bytes"]}}]},
         CorruptDataError, "not a multiple"),
        ({"codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [8], "codecs": ["bytes"],
                      "index_codecs": ["bytes", "zstd"]}}]}, UnsupportedError, "index_codecs"),
    ],
)  # fmt: skip
def test_metadata_that_is_refused(store, changes, error, message):
    write(store)
    edit_metadata(store, **changes)
    with pytest.raises(error, match=f"array array: zarr.json: .*{message}"):
        _core.Array.open(store, "array")


def test_metadata_that_is_ignored(store):
    write(store)
    edit_metadata(store, dimension_names=["cell"], note={"must_understand": False}, data_type={"name": "uint32"})
    assert (_core.Array.open(store, "array").read_all() == DATA).all()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000])
def test_metadata_that_is_no_json_object(store, text):
    store.write("array/zarr.json", text)
    with pytest.raises(CorruptDataError, match="array array"):
        _core.Array.open(store, "array")


# --- damage ---


@pytest.mark.parametrize("views", [True, False])
@pytest.mark.parametrize("index_location", ["start", "end"])
@pytest.mark.parametrize("codecs_json", [BYTES, CHECKED])
def test_a_flipped_byte_is_noticed_or_harmless(views, index_location, codecs_json):
    inner = _core.MemoryStore()
    store = inner if views else _core.CountingStore(inner)
    write(inner, codecs_json=codecs_json, shard=104, index_location=index_location)
    shard = inner.read("array/c/0")
    n_index = 13 * 16 + 4
    in_index = set(range(n_index)) if index_location == "start" else set(range(len(shard) - n_index, len(shard)))
    unnoticed = set()
    for position in range(len(shard)):
        damaged = bytearray(shard)
        damaged[position] ^= 0x10
        inner.write("array/c/0", bytes(damaged))
        try:
            if (_core.Array.open(store, "array").read_all() != DATA).any():
                unnoticed.add(position)
        except CorruptDataError as error:
            assert str(error).startswith("array array, shard array/c/0")
    assert not unnoticed & in_index
    if codecs_json == CHECKED:
        # Only what lies between the last chunk's rows and the end of the padded chunk is nobody's data.
        assert not unnoticed


@pytest.mark.parametrize("views", [True, False])
@pytest.mark.parametrize("index_location", ["start", "end"])
def test_a_cut_shard_is_an_error(views, index_location):
    inner = _core.MemoryStore()
    store = inner if views else _core.CountingStore(inner)
    write(inner, shard=104, index_location=index_location)
    shard = inner.read("array/c/0")
    for n_bytes in range(len(shard)):
        inner.write("array/c/0", shard[:n_bytes])
        with pytest.raises(HomeoboxError, match="array/c/0"):
            _core.Array.open(store, "array").read_all()


def index_of(entries: list[tuple[int, int]]) -> bytes:
    table = np.array(entries, "<u8").tobytes()
    return table + _core.crc32c(table).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([(0, 33), (32, 32), (64, 32), (96, 32)], "overlap"),
        ([(64, 32), (0, 32), (0, 32), (96, 32)], "overlap"),
        ([(0, 32), (32, 32), (64, 32), (97, 32)], "leave the bytes 0 to 128"),
        ([(0, 32), (32, 32), (64, 32), (2**64 - 1, 32)], "index entry 3"),
        ([(0, 32), (32, 32), (64, 32), (2**64 - 2, 32)], "index entry 3"),
        ([(0, 31), (32, 32), (64, 32), (96, 32)], "chunk 0: bytes: 32 bytes expected, 31 found"),
    ],
)
@pytest.mark.parametrize("views", [True, False])
def test_an_index_that_contradicts_itself(views, entries, message):
    inner = _core.MemoryStore()
    store = inner if views else _core.CountingStore(inner)
    write(inner, DATA[:32])
    shard = inner.read("array/c/0")
    inner.write("array/c/0", shard[:128] + index_of(entries))
    with pytest.raises(CorruptDataError, match=f"array array, shard array/c/0.*{message}"):
        _core.Array.open(store, "array").read_all()


def test_gaps_order_and_junk_are_fine(store):
    write(store, DATA[:32])
    chunks = [DATA[8 * i : 8 * i + 8].tobytes() for i in range(4)]
    body = b"junk" + chunks[2] + b"gap" + chunks[0] + chunks[3] + b"tail"
    store.write("array/c/0", body + index_of([(39, 32), (2**64 - 1, 2**64 - 1), (4, 32), (71, 32)]))
    expected = DATA[:32].copy()
    expected[8:16] = 0
    for opened in (store, _core.CountingStore(store)):
        assert (_core.Array.open(opened, "array").read_all() == expected).all()


# --- cost ---


def counting(data: np.ndarray, **options: Any) -> tuple[_core.CountingStore, _core.Array]:
    inner = _core.MemoryStore()
    write(inner, data, **options)
    store = _core.CountingStore(inner)
    array = _core.Array.open(store, "array")
    assert store.requests == 1
    store.reset()
    return store, array


@pytest.mark.parametrize(("index_location", "requests"), [("end", 2), ("start", 3)])
def test_requests_for_one_chunk_of_a_cold_shard(index_location, requests):
    data = np.arange(1, 100_001, dtype=np.uint32)
    store, array = counting(data, chunk=1000, shard=50_000, index_location=index_location)
    assert (array.read([60_500], [60_600]) == data[60_500:60_600]).all()
    assert store.requests == requests
    assert store.bytes_read <= 4000 + 50 * 16 + 4
    # The index is known now.
    store.reset()
    array.read([70_000], [70_001])
    assert store.requests == 1


def test_neighbours_share_a_request():
    data = np.arange(1, 1_000_001, dtype=np.uint32)
    store, array = counting(data, chunk=1000, shard=1_000_000)
    array.read([0], [1])
    store.reset()
    # Chunks 10 and 40 are 116 kB apart, 500 is far away.
    array.read_ranges(np.array([500_000, 10_000, 40_000]), np.array([500_001, 10_010, 40_010]))
    assert store.requests == 2
    assert store.bytes_read == 31 * 4000 + 4000


def test_one_request_per_warm_shard():
    data = np.arange(1, 100_001, dtype=np.uint32)
    store, array = counting(data, chunk=1000, shard=20_000)
    array.read_all()
    assert store.requests == 5 * 2
    store.reset()
    array.read_all()
    assert store.requests == 5
    assert store.bytes_read == data.nbytes


def test_askers_of_one_shard_share_its_index():
    inner = _core.MemoryStore()
    write(inner, chunk=10, shard=100)
    store = _core.CountingStore(_core.SlowStore(inner, delay_s=0.05))
    array = _core.Array.open(store, "array")
    store.reset()
    threads = [threading.Thread(target=array.read, args=([10 * i], [10 * i + 10])) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.requests == 1 + 8


def test_a_missing_shard_is_asked_for_once():
    store, array = counting(DATA)
    store.remove("array/c/1")
    store.reset()
    for _ in range(2):
        assert not array.read([32], [64]).any()
    assert store.requests == 2  # the second for zarr.json: whether the array is still there


# --- groups and manifests ---


def test_groups(store):
    attributes = '{"homeobox": {"format": 1}}'
    key, n_bytes, crc32c = _core.write_group(store, "a/b", attributes)
    stored = store.read("a/b/zarr.json")
    assert (key, n_bytes, crc32c) == ("a/b/zarr.json", len(stored), _core.crc32c(stored))
    assert list(json.loads(stored)) == ["attributes", "zarr_format", "node_type"]
    # What is there stays.
    assert _core.write_group(store, "a/b", "{}") == (key, n_bytes, crc32c)
    assert store.read("a/b/zarr.json") == stored
    assert _core.write_group(store, "")[0] == "zarr.json"
    write(store)
    with pytest.raises(ConflictError, match="another node"):
        _core.write_group(store, "array")


def test_manifest_round_trip(store):
    objects = [("g/b", 3, 0xFFFFFFFF), ("g/a/\u00e9", 2**40, 1)]
    key, n_bytes, crc32c = _core.write_manifest(store, "g", objects)
    stored = store.read("g/.hox-manifest")
    assert (key, n_bytes, crc32c) == ("g/.hox-manifest", len(stored), _core.crc32c(stored))
    lines = [json.loads(line) for line in stored.splitlines()]
    assert lines[0] == {"homeobox_manifest": 1, "objects": 2}
    assert lines[1] == {"key": "a/\u00e9", "bytes": 2**40, "crc32c": "00000001"}
    assert _core.read_manifest(store, "g") == sorted(objects)
    assert _core.read_manifest(store, "other") is None


def test_an_empty_manifest_of_the_root(store):
    _core.write_manifest(store, "", [])
    assert _core.read_manifest(store, "") == []


@pytest.mark.parametrize("objects", [[("g", 1, 1)], [("gg/a", 1, 1)], [("g/a", 1, 1), ("g/a", 1, 1)]])
def test_manifest_refuses_keys(store, objects):
    with pytest.raises(InvalidArgumentError, match="manifest of g"):
        _core.write_manifest(store, "g", objects)
    assert store.list() == []


def test_a_damaged_manifest_is_noticed(store):
    _core.write_manifest(store, "g", [("g/a", 5, 6), ("g/b", 7, 8)])
    stored = store.read("g/.hox-manifest")
    for position in range(len(stored) - 1):  # the last newline means nothing
        damaged = bytearray(stored)
        damaged[position] ^= 1
        store.write("g/.hox-manifest", bytes(damaged))
        with pytest.raises(CorruptDataError, match="manifest of g"):
            _core.read_manifest(store, "g")
    for n_bytes in range(len(stored) - 1):
        store.write("g/.hox-manifest", stored[:n_bytes])
        with pytest.raises(CorruptDataError, match="manifest of g"):
            _core.read_manifest(store, "g")
