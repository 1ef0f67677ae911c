"""Groups of the core: what they hold against the manifest, and which formats they refuse."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from homeobox import _core
from homeobox.errors import CorruptDataError, NotFoundError, UnsupportedError

DATA = np.arange(1, 101, dtype=np.uint32)
OURS = '{"homeobox": {"format": 1}}'
CODECS = '["bytes"]'


def written(shard: int | None = 32) -> _core.MemoryStore:
    """A store with the group "g": an array in four shards (or thirteen objects), and its manifest."""
    store = _core.MemoryStore()
    objects = [_core.write_group(store, "g", OURS)]
    objects += _core.write_array(store, "g/a", DATA, [8], shard and [shard], CODECS)
    _core.write_manifest(store, "g", objects)
    return store


def edit(store: _core.Store, key: str, **changes: object) -> None:
    document = json.loads(store.read(key))
    document.update(changes)
    store.write(key, json.dumps(document).encode())


def read(store: _core.Store) -> np.ndarray:
    return _core.Group.open(store, "g").open_array("a").read_all()


@pytest.fixture(params=["views", "requests"])
def opened(request):
    """How a store is seen: with memory to look at in place, or by requests only."""
    return {"views": lambda store: store, "requests": _core.CountingStore}[request.param]


@pytest.mark.parametrize("shard", [32, None])
def test_what_was_written_is_read(opened, shard):
    store = written(shard)
    group = _core.Group.open(opened(store), "g")
    assert group.path == "g"
    array = group.open_array("a")
    assert array.path == "g/a"
    assert (array.read_all() == DATA).all()
    with pytest.raises(NotFoundError, match="no array g/b"):
        group.open_array("b")


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("g/a/zarr.json", {"shape": [99]}, r"array g/a: zarr.json: \d+ bytes expected by the manifest, found \d+"),
        ("g/a/zarr.json", {"fill_value": 3}, "array g/a: zarr.json: .* expected by the manifest"),
        ("g/zarr.json", {"attributes": {}}, "group g: zarr.json: .* expected by the manifest"),
        ("g/zarr.json", {"attributes": {"homeobox": {"format": 7}}}, "group g: zarr.json: .* by the manifest"),
    ],
)
def test_edited_metadata_is_refused(opened, key, change, message):
    store = written()
    edit(store, key, **change)
    with pytest.raises(CorruptDataError, match=message):
        read(opened(store))


def test_every_flipped_byte_of_the_metadata_is_noticed(opened):
    store = written()
    for key in ("g/zarr.json", "g/a/zarr.json"):
        healthy = store.read(key)
        for position in range(len(healthy)):
            damaged = bytearray(healthy)
            damaged[position] ^= 4
            store.write(key, bytes(damaged))
            with pytest.raises(CorruptDataError, match=r"checksum \w{8} expected by the manifest, \w{8} computed"):
                read(opened(store))
        store.write(key, healthy)


@pytest.mark.parametrize("key", ["g/zarr.json", "g/a/zarr.json"])
def test_listed_metadata_that_is_gone(opened, key):
    store = written()
    store.remove(key)
    with pytest.raises(CorruptDataError, match="expected by the manifest, but there is no such object"):
        read(opened(store))


@pytest.mark.parametrize("shard", [32, None])
def test_a_listed_shard_that_is_gone_is_no_fill_value(opened, shard):
    store = written(shard)
    store.remove("g/a/c/1")
    array = _core.Group.open(opened(store), "g").open_array("a")
    assert (array.read([0], [8]) == DATA[:8]).all()
    message = r"array g/a, shard g/a/c/1.*: \d+ bytes expected by the manifest, but there is no such object"
    with pytest.raises(CorruptDataError, match=message):
        array.read_all()


@pytest.mark.parametrize("index_location", ["start", "end"])
def test_a_shard_of_another_size_is_noticed_at_its_first_use(opened, index_location):
    store = _core.MemoryStore()
    objects = _core.write_array(store, "g/a", DATA, [8], [32], CODECS, index_location=index_location)
    _core.write_manifest(store, "g", objects)
    shard = store.read("g/a/c/2")
    # At the end that the index does not count from, so that only the manifest can tell.
    store.write("g/a/c/2", shard + b"x" if index_location == "start" else b"x" + shard)
    array = _core.Group.open(opened(store), "g").open_array("a")
    assert (array.read([0], [64]) == DATA[:64]).all()
    with pytest.raises(CorruptDataError, match=r"shard g/a/c/2.*: 196 bytes expected by the manifest, found 197"):
        array.read([64], [65])


def test_a_shard_that_nobody_wrote_is_noticed(opened):
    store = _core.MemoryStore()
    objects = _core.write_array(store, "g/a", np.zeros(16, np.uint32), [8], None, CODECS)
    assert len(objects) == 1  # zarr.json: both chunks are fill values
    _core.write_manifest(store, "g", objects)
    assert not read(opened(store)).any()
    store.write("g/a/c/1", bytes(range(32)))
    with pytest.raises(CorruptDataError, match=r"shard g/a/c/1.*: not in the manifest, but 32 bytes are there"):
        read(opened(store))


def test_unsharded_chunks_are_held_against_their_checksums(opened):
    store = written(None)
    store.write("g/a/c/3", bytes(32))
    with pytest.raises(CorruptDataError, match=r"shard g/a/c/3.*: checksum \w{8} expected by the manifest"):
        read(opened(store))


def test_arrays_that_another_program_added_are_read(opened):
    store = written()
    _core.write_array(store, "g/later", DATA, [8], [32], CODECS)
    store.remove("g/later/c/0")
    array = _core.Group.open(opened(store), "g").open_array("later")
    assert (array.read_all() == np.where(np.arange(100) < 32, 0, DATA)).all()


def test_groups_without_a_manifest_or_without_metadata_are_read(opened):
    store = written()
    store.remove("g/.hox-manifest")
    assert (read(opened(store)) == DATA).all()
    store.remove("g/zarr.json")
    assert (read(opened(store)) == DATA).all()


def test_a_damaged_manifest_is_named(opened):
    store = written()
    manifest = store.read("g/.hox-manifest")
    store.write("g/.hox-manifest", manifest.replace(b'"bytes"', b'"bytez"', 1))
    with pytest.raises(CorruptDataError, match="manifest of g: checksum"):
        _core.Group.open(opened(store), "g")


def resealed(manifest: bytes, old: bytes, new: bytes) -> bytes:
    """The manifest with other text and a checksum that holds."""
    body = b"".join(manifest.splitlines(keepends=True)[:-1]).replace(old, new, 1)
    return body + json.dumps({"crc32c": f"{_core.crc32c(body):08x}"}).encode() + b"\n"


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (b'"homeobox_manifest":1', b'"homeobox_manifest":2', UnsupportedError, "version 1 expected, found 2"),
        (b'"objects":6', b'"objects":5', CorruptDataError, "5 objects expected, found 6"),
        (b'"a/c/1"', b'"a/c/0"', CorruptDataError, "ascending keys expected"),
        (b'"bytes":', b'"bytes":-', CorruptDataError, "manifest of g"),
    ],
)
def test_a_manifest_that_contradicts_itself(old, new, error, message):
    store = written()
    manifest = store.read("g/.hox-manifest")
    assert old in manifest
    store.write("g/.hox-manifest", resealed(manifest, old, new))
    with pytest.raises(error, match=message):
        _core.Group.open(store, "g")


# --- format versions ---


@pytest.mark.parametrize("path", ["", "g"])
def test_newer_formats_are_refused_by_number(opened, path):
    store = _core.MemoryStore()
    _core.write_group(store, path, '{"homeobox": {"format": 2}}')
    name = "group g" if path else "root group of memory"
    for open_group in (_core.find_group, _core.Group.open):
        with pytest.raises(UnsupportedError, match=f"{name}.*: format 2 is newer than 1, the newest"):
            open_group(opened(store), path)


@pytest.mark.parametrize(
    "attributes",
    ['{"homeobox": {}}', '{"homeobox": 1}', '{"homeobox": {"format": 0}}', '{"homeobox": {"format": "1"}}'],
)
def test_formats_that_make_no_sense(attributes):
    store = _core.MemoryStore()
    _core.write_group(store, "g", attributes)
    with pytest.raises(CorruptDataError, match=r'group g: zarr.json: .* expected as attribute "homeobox", found'):
        _core.find_group(store, "g")


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b'{"node_type": "array", "zarr_format": 3}', b'{"node_type": "group", "zarr_format": 2}', b"\xff"],
)
def test_what_is_no_group(document):
    store = _core.MemoryStore()
    store.write("zarr.json", document)
    with pytest.raises(CorruptDataError, match="root group of memory"):
        _core.find_group(store, "")


def test_groups_of_0_2_2_have_no_format():
    store = _core.MemoryStore()
    assert not _core.find_group(store, "")
    _core.write_group(store, "")
    assert _core.find_group(store, "")
    _core.write_group(store, "g", '{"mine": 1}')
    assert _core.find_group(store, "g")


# --- cost ---


def test_a_group_costs_two_requests_and_an_array_one_more():
    store = _core.CountingStore(written())
    group = _core.Group.open(store, "g")
    assert store.requests == 2
    for _ in range(2):
        group.open_array("a")
    assert store.requests == 4


def test_both_requests_are_on_their_way_together():
    store = _core.CountingStore(_core.SlowStore(written(), delay_s=1.0))
    begin = time.perf_counter()
    _core.Group.open(store, "g")
    assert time.perf_counter() - begin < 1.9
