"""Everything that takes a store, once over a store of obstore: its requests are answered by a thread that needs the
GIL, so that one bound function which keeps it would wait for ever."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import obstore.store
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, Dataset, Feature, add

import homeobox as hox
from homeobox import _core

CODECS = '["bytes"]'
# Three cells of four features.
INDPTR = np.array([0, 2, 2, 5], dtype=np.int64)
INDICES = np.array([0, 3, 0, 1, 3], dtype=np.uint32)
COUNTS = np.array([1, 2, 3, 4, 5], dtype=np.float32)
REMAP = np.arange(4, dtype=np.int32)


@pytest.fixture
def store() -> _core.Store:
    return _core.ObstoreStore(obstore.store.MemoryStore())


@pytest.fixture
def group(store: _core.Store) -> str:
    """A sparse group, written with every function that writes."""
    objects = [_core.write_group(store, path) for path in ("g", "g/csr", "g/csr/layers")]
    objects += _core.write_array(store, "g/csr/indices", INDICES, [2], [4], CODECS)
    writer = _core.ArrayWriter(store, "g/csr/layers/counts", "float32", [5], [2], None, CODECS)
    writer.append(COUNTS)
    objects += writer.finish()
    _core.write_manifest(store, "g", objects)
    return "g"


def test_an_abandoned_writer_waits_for_its_writes(store: _core.Store) -> None:
    writer = _core.ArrayWriter(store, "a", "float32", [5], [2], None, CODECS)
    writer.append(COUNTS[:4])
    del writer
    assert [key for key, _ in store.list("a/")] == ["a/c/0", "a/c/1"]


def test_arrays(store: _core.Store, group: str) -> None:
    assert _core.read_manifest(store, group)
    array = _core.Array.open(store, "g/csr/layers/counts")
    np.testing.assert_array_equal(array.read_all(), COUNTS)
    np.testing.assert_array_equal(array.read([1], [4]), COUNTS[1:4])
    np.testing.assert_array_equal(array.read_ranges(np.array([3, 0]), np.array([5, 1])), COUNTS[[3, 4, 0]])


def test_gathers(store: _core.Store, group: str) -> None:
    sparse = _core.SparseGroup(store, group)
    assert sparse.layer_dtype("csr/layers/counts") == "float32"
    cells = np.zeros(3, dtype=np.int32)
    found = _core.gather_csr([sparse], [REMAP], "csr/layers/counts", cells, INDPTR[:-1], INDPTR[1:], 4, "float32")
    for array, expected in zip(found, (INDPTR, INDICES, COUNTS), strict=True):
        np.testing.assert_array_equal(array, expected)
    lengths = np.diff(INDPTR).astype(np.uint32)
    loader = _core.BatchLoader(
        [sparse], [REMAP], "csr/layers/counts", cells, INDPTR[:-1], lengths, 4, "float32", batch_size=2
    )
    del loader

    _core.write_array(store, "dense", np.eye(3, 4, dtype=np.float32), [2, 4], None, CODECS)
    dense = _core.gather_dense([_core.Array.open(store, "dense")], [REMAP], cells, np.arange(3), 4)
    np.testing.assert_array_equal(dense, np.eye(3, 4))


def test_a_whole_atlas(tmp_path: Path) -> None:
    uids = [f"g{i}" for i in range(50)]
    counts = sp.random(90, 50, 0.3, format="csr", random_state=np.random.default_rng(3), dtype=np.float32)
    store = obstore.store.MemoryStore()
    atlas = hox.RaggedAtlas.create(
        str(tmp_path),
        "cells",
        Cell,
        dataset_table_name="datasets",
        dataset_schema=hox.DatasetRecord,
        registry_schemas={"gene_expression": Feature},
        store=store,
    )
    atlas.register_features("gene_expression", [Feature(uid=uid) for uid in uids])
    add(atlas, Dataset("g", counts, uids, pd.DataFrame({"label": ["x"] * 90})))
    hox.add_csc(atlas, "g", "gene_expression")
    atlas.optimize()
    atlas.snapshot()
    opened = hox.RaggedAtlas.checkout_latest(str(tmp_path), store=store)
    result = opened.query().to_anndata()
    assert (counts != result[:, uids].X).nnz == 0
    loader = opened.query().to_loader(16, shuffle=True)
    assert sum(len(batch) for batch in loader) == 90
    assert not (tmp_path / "zarr_store").exists()


def test_a_write_without_memory_fails_alone() -> None:
    """In a process of its own, which has too little memory for one more copy of the data."""
    script = """
        import faulthandler, mmap, resource
        import obstore.store
        from homeobox import _core
        from homeobox.errors import StoreError

        faulthandler.dump_traceback_later(60, exit=True)
        store = _core.ObstoreStore(obstore.store.MemoryStore())
        store.write("before", b"x")
        data = mmap.mmap(-1, 1 << 29)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), resource.RLIM_INFINITY))
        try:
            store.write("large", data)
        except StoreError as error:
            assert error.retryable and "memory" in str(error), error
        else:
            raise AssertionError("no error")
        store.write("after", b"y")
        assert [key for key, _ in store.list()] == ["after", "before"]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=90)
