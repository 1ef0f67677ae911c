"""Chunks and shards that lie are CorruptData, by array, shard and chunk, and cost no memory beyond the chunk's size."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from damaged_chunks import DTYPE, N_ELEMENTS, Lie, array_with, crc, healthy_chunks, lies

from homeobox import _core
from homeobox.errors import CorruptDataError, HomeoboxError

LIES = lies()
HEALTHY = healthy_chunks()


@pytest.fixture(params=["views", "requests"])
def opened(request):
    """How a store is seen: with memory to look at in place, or by requests only."""
    return {"views": lambda store: store, "requests": _core.CountingStore}[request.param]


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_healthy_decodes(opened, name):
    codecs_json, encoded = HEALTHY[name]
    array = _core.Array.open(opened(array_with(codecs_json, encoded)), "a")
    chunk = array.read([N_ELEMENTS], [2 * N_ELEMENTS])
    assert (array.read_all()[N_ELEMENTS : 2 * N_ELEMENTS] == chunk).all()
    assert (array.read([N_ELEMENTS + 500], [N_ELEMENTS + 700]) == chunk[500:700]).all()


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_is_named(opened, lie: Lie):
    array = _core.Array.open(opened(array_with(lie.codecs_json, lie.encoded)), "a")
    with pytest.raises(CorruptDataError, match=f"^array a, shard a/c/0, chunk 1: .*({lie.message})"):
        array.read_all()
    # The neighbours are as they were.
    assert not array.read([0], [N_ELEMENTS]).any()


@pytest.mark.parametrize("name", HEALTHY)
def test_a_chunk_that_is_cut_short(opened, name):
    codecs_json, encoded = HEALTHY[name]
    lengths = {*range(64), *range(64, len(encoded), 37), *range(max(0, len(encoded) - 64), len(encoded))}
    for n_bytes in sorted(lengths):
        if n_bytes < len(encoded):
            array = _core.Array.open(opened(array_with(codecs_json, encoded[:n_bytes])), "a")
            with pytest.raises(CorruptDataError, match=r"^array a, shard a/c/0, chunk 1: "):
                array.read_all()


def test_a_gather_names_the_chunk(opened):
    """The path of queries, which decodes ranges of chunks into their final places."""
    store = array_with(LIES[0].codecs_json, LIES[0].encoded)
    for name in ("csr/indices", "csr/layers/counts"):
        for key in ("zarr.json", "c/0"):
            store.write(f"g/{name}/{key}", store.read(f"a/{key}"))
    groups = [_core.SparseGroup(opened(store), "g")]
    remaps = [np.zeros(1, np.int32)]

    def gather(begin: int, end: int) -> tuple[np.ndarray, ...]:
        cell, begins, ends = np.zeros(1, np.int32), np.array([begin]), np.array([end])
        return _core.gather_csr(groups, remaps, "csr/layers/counts", cell, begins, ends, 1, "uint32", sort=False)

    assert len(gather(0, 100)[1]) == 100
    with pytest.raises(CorruptDataError, match="array g/csr/indices, shard g/csr/indices/c/0, chunk 1: "):
        gather(1000, 1100)


# --- shards ---


def shard(entries: list[tuple[int, int]], body: bytes) -> _core.MemoryStore:
    """An array of 4 chunks of 8 uint32 in one shard with these (offset, length) entries and a checksum that holds."""
    store = _core.MemoryStore()
    _core.write_array(store, "a", np.arange(1, 33, dtype=DTYPE), [8], [32], '["bytes"]')
    table = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    store.write("a/c/0", body + table + crc(table))
    return store


BODY = np.arange(1, 33, dtype=DTYPE).tobytes()
FITTING = [(0, 32), (32, 32), (64, 32), (96, 32)]
NONE = 2**64 - 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ((97, 32), "index entry 3: offset 97 and length 32 leave the bytes 0 to 128"),
        ((128, 1), "index entry 3: offset 128"),
        ((2**63, 32), "index entry 3"),
        ((NONE - 8, 32), "index entry 3"),
        ((NONE, 0), "index entry 3"),
        ((0, NONE), "index entry 3"),
        ((96, NONE - 90), "index entry 3"),
        ((95, 33), "entries 2 and 3 overlap"),
        ((64, 32), "entries 2 and 3 overlap"),
        ((0, 128), "entries . and . overlap"),
        ((96, 31), "chunk 3: bytes: 32 bytes expected, 31 found"),
        ((96, 0), "chunk 3: bytes: 32 bytes expected, 0 found"),
    ],
)
def test_an_entry_that_lies(opened, entry, message):
    store = shard([*FITTING[:3], entry], BODY)
    array = _core.Array.open(opened(store), "a")
    with pytest.raises(CorruptDataError, match=f"^array a, shard a/c/0.*{message}"):
        array.read_all()


def test_a_chunk_far_longer_than_its_elements(opened):
    body = BODY + bytes(4 << 20)
    store = shard([*FITTING[:3], (96, len(body) - 96)], body)
    with pytest.raises(
        CorruptDataError, match=r"index entry 3: at most [0-9]+ bytes expected for a chunk, found 4194336"
    ):
        _core.Array.open(opened(store), "a").read_all()


@pytest.mark.parametrize("index_location", ["start", "end"])
def test_a_shard_that_is_cut_short(opened, index_location):
    store = _core.MemoryStore()
    data = np.arange(1, 33, dtype=DTYPE)
    _core.write_array(store, "a", data, [8], [32], '["bytes"]', index_location=index_location)
    whole = store.read("a/c/0")
    for n_bytes in range(len(whole)):
        store.write("a/c/0", whole[:n_bytes])
        array = _core.Array.open(opened(store), "a")
        with pytest.raises(CorruptDataError, match=r"^array a, shard a/c/0"):
            array.read_all()


def test_files_that_are_cut_short(tmp_path):
    """The same on the disk, where a shard is memory that the system maps."""
    codecs_json, encoded = HEALTHY["plain by hand"]
    memory = array_with(codecs_json, encoded)
    store = _core.FileStore(str(tmp_path))
    for key, _ in memory.list(""):
        store.write(key, memory.read(key))
    path = tmp_path / "a/c/0"
    whole = path.read_bytes()
    for n_bytes in [*range(0, len(whole), 50), len(whole) - 1]:
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(HomeoboxError, match="a/c/0"):
            _core.Array.open(store, "a").read_all()


# --- memory ---

LIMITED = """
import resource, sys
from damaged_chunks import array_with, healthy_chunks, lies
from homeobox import _core
from homeobox.errors import CorruptDataError

arrays = [_core.Array.open(wrap(array_with(lie.codecs_json, lie.encoded)), "a")
          for lie in lies() for wrap in (lambda store: store, _core.CountingStore)]
for codecs_json, encoded in healthy_chunks().values():
    _core.Array.open(array_with(codecs_json, encoded), "a").read_all()
with open("/proc/self/statm") as statm:
    in_use = int(statm.read().split()[0]) * resource.getpagesize()
limit = in_use + (16 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for array in arrays:
    try:
        array.read_all()
    except CorruptDataError:
        continue
    sys.exit("a lie was believed")
try:
    bytearray(32 << 20)
except MemoryError:
    sys.exit(0)
sys.exit("the limit does not work")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit is set by what Linux says is in use")
def test_lies_cost_no_memory():
    """Every lie within 16 MiB of address space; what they ask for is from 64 MiB to a terabyte."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        # A new thread's arena alone would take 64 MiB of address space.
        "HOX_THREADS": "1",
        "HOX_IO_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }
    done = subprocess.run([sys.executable, "-c", LIMITED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
