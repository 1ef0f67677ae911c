"""The writer of sparse groups: rows as a plain sort gives them, and arguments that are refused before they are read."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from homeobox import _core
from homeobox.errors import InvalidArgumentError

CODECS = json.dumps([{"name": "homeobox.bp128", "configuration": {"version": 1}}])
N_FEATURES = 9


def writer(store: _core.Store, n_entries: int, order: np.ndarray | None = None) -> _core.CsrWriter:
    targets = [(name, dtype, n_entries, 8, 16, CODECS) for name, dtype in (("indices", "uint32"), ("counts", "int16"))]
    return _core.CsrWriter(store, targets[0], targets[1:], N_FEATURES, order)


@pytest.mark.parametrize("index_dtype", [np.int32, np.uint32, np.int64, np.uint64])
def test_rows_come_back_in_stored_order(index_dtype: type) -> None:
    rng = np.random.default_rng(5)
    indptr = np.cumsum([0, *rng.integers(0, 7, 40)])
    indices = rng.integers(0, N_FEATURES, indptr[-1]).astype(index_dtype)
    counts = rng.integers(-3, 300, indptr[-1]).astype(np.int16)
    order = rng.permutation(N_FEATURES).astype(np.uint32)
    store = _core.MemoryStore()
    written = writer(store, len(indices), order)
    for first in range(0, 40, 13):
        written.append(indptr[first : first + 14], indices, [counts])
    objects = written.finish()
    assert sorted(key for key, _, _ in objects) == sorted(key for key, _ in store.list(""))

    stored = np.argsort(order)[indices.astype(np.int64)]
    expected = np.concatenate([a + np.argsort(stored[a:b], kind="stable") for a, b in itertools.pairwise(indptr)])
    np.testing.assert_array_equal(_core.Array.open(store, "indices").read_all(), stored[expected])
    np.testing.assert_array_equal(_core.Array.open(store, "counts").read_all(), counts[expected])


@pytest.mark.parametrize(
    ("indptr", "indices", "counts", "message"),
    [
        ([], [], [], "at least one entry"),
        ([0, 30_000_000, 31_000_000, 3], [0, 1, 2], [1, 1, 1], "indptr decreases"),
        ([0, 4], [0, 1, 2], [1, 1, 1], "of 3 indices"),
        ([-1, 2], [0, 1, 2], [1, 1, 1], "of 3 indices"),
        ([0, 3], [0, 1, 2], [1, 1], "of 2 values"),
        ([0, 3], [0, 1, N_FEATURES], [1, 1, 1], "outside"),
        ([0, 3], [0, -1, 1], [1, 1, 1], "outside"),
    ],
)
def test_refusals(indptr: list[int], indices: list[int], counts: list[int], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        writer(_core.MemoryStore(), 3).append(
            np.array(indptr, np.int64), np.array(indices, np.int32), [np.array(counts, np.int16)]
        )


def test_other_dtypes_and_layers_are_refused() -> None:
    indptr, indices = np.array([0, 1]), np.array([0], np.int32)
    for data, message in (([np.ones(1, np.int32)], "values of int16 expected"), ([], "1 array")):
        with pytest.raises(InvalidArgumentError, match=message):
            writer(_core.MemoryStore(), 1).append(indptr, indices, data)
    with pytest.raises(InvalidArgumentError, match="uint32 expected"):
        _core.CsrWriter(_core.MemoryStore(), ("i", "int32", 1, 8, 16, CODECS), [], N_FEATURES)


def test_a_summary_tells_what_counts_are_not() -> None:
    summary = _core.CsrSummary(3)
    summary.add(np.array([0, 2, 2], np.int64), np.array([1.0, 2.0, 5.0], np.float32))
    assert summary.totals.tolist() == [1, 0, 7]
    assert not (summary.has_negative or summary.has_fraction or summary.has_nonfinite)
    summary.add(np.array([1, 1], np.int32), np.array([-0.5, np.nan]))
    assert summary.has_negative and summary.has_fraction and summary.has_nonfinite
    with pytest.raises(InvalidArgumentError, match="2 indices, but 1 values"):
        summary.add(np.array([1, 1], np.int32), np.ones(1))
