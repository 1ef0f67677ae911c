"""Damage to any stored object of an atlas is reported, or every answer stays the same: it never becomes other data.

A sample of bytes in the usual run; ``HOX_FULL=1`` flips every byte of every object, which takes half an hour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox.errors import HomeoboxError

FULL = os.environ.get("HOX_FULL") == "1"
# The lowest bit, which turns a digit into another; the highest; all; the one that tells upper from lower case.
PATTERNS = (0x01, 0x80, 0xFF, 0x20)
SAMPLED_BYTES = 12

GENES = [f"gene{i}" for i in range(30)]
PROTEINS = [f"p{i}" for i in range(6)]
WANTED = [GENES[i] for i in (3, 20, 7)]

Answer = dict[str, Any]

pytestmark = pytest.mark.filterwarnings("ignore:.* have no '.*' data and are left out")


def _cells(atlas: hox.RaggedAtlas) -> Answer:
    return _of_anndata(atlas.query().feature_spaces("gene_expression").to_anndata())


def _few_cells(atlas: hox.RaggedAtlas) -> Answer:
    return _of_anndata(atlas.query().feature_spaces("gene_expression").where("number = 3").to_anndata())


def _features(atlas: hox.RaggedAtlas) -> Answer:
    query = atlas.query().feature_spaces("gene_expression").features(WANTED, "gene_expression")
    return _of_anndata(query.to_anndata())


def _dense(atlas: hox.RaggedAtlas) -> Answer:
    return _of_anndata(atlas.query().feature_spaces("protein_abundance").to_anndata())


def _epoch(atlas: hox.RaggedAtlas) -> Answer:
    batches = list(atlas.query().to_loader(batch_size=7, seed=5))
    return {
        f"{name} of batch {i}": getattr(batch, name)
        for i, batch in enumerate(batches)
        for name in ("indices", "values", "offsets", "n_features")
    }


QUESTIONS: list[Callable[[hox.RaggedAtlas], Answer]] = [_cells, _few_cells, _features, _dense, _epoch]


def _of_anndata(adata: Any) -> Answer:
    parts = {"obs": adata.obs.to_numpy().tolist(), "var": adata.var_names.tolist(), "dtype": str(adata.X.dtype)}
    if sp.issparse(adata.X):
        return parts | {"indptr": adata.X.indptr, "indices": adata.X.indices, "data": adata.X.data}
    return parts | {"X": adata.X}


def _same(a: Answer, b: Answer) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Sparse groups in both codecs and a dense one, with chunks so small that every array has several."""
    rng = np.random.default_rng(11)
    path = tmp_path_factory.mktemp("flipped")
    atlas = empty_atlas(path, {"gene_expression": GENES, "protein_abundance": PROTEINS})

    def counts(n_cells: int, n_features: int) -> sp.csr_matrix:
        values = rng.poisson(0.7, (n_cells, n_features)) * rng.integers(1, 30, (n_cells, n_features))
        return sp.csr_matrix(values.astype(np.float32))

    def obs(n_cells: int) -> pd.DataFrame:
        return pd.DataFrame({"label": ["a"] * n_cells, "number": np.arange(n_cells) % 5})

    packed = Dataset("packed", counts(15, 28), GENES[2:], obs(15))
    add(atlas, packed, chunk_shape=(96,), shard_shape=(192,))
    for_0_2_2 = Dataset("old", counts(8, 20).astype(np.int32), GENES[:20], obs(8))
    add(atlas, for_0_2_2, chunk_shape=(64,), shard_shape=(128,), codec="bitpacking")
    dense = Dataset(
        "dense", rng.exponential(size=(9, 6)).astype(np.float32), PROTEINS, obs(9), space="protein_abundance"
    )
    add(atlas, dense, chunk_shape=(4, 6), shard_shape=(8, 6))
    checked_out(atlas, path)
    return path


@pytest.fixture(scope="module")
def expected(folder) -> list[Answer]:
    atlas = hox.RaggedAtlas.checkout_latest(str(folder))
    return [question(atlas) for question in QUESTIONS]


def _objects(folder: Path) -> list[Path]:
    found = sorted(path for path in (folder / "zarr_store").rglob("*") if path.is_file())
    assert len(found) > 25
    return found


def _unnoticed(folder: Path, expected: list[Answer]) -> list[str]:
    """Names of the questions that are answered otherwise than before; reported damage is no answer."""
    try:
        atlas = hox.RaggedAtlas.checkout_latest(str(folder))
    except HomeoboxError:
        return []
    wrong = []
    for question, right in zip(QUESTIONS, expected, strict=True):
        try:
            answer = question(atlas)
        except HomeoboxError:
            continue
        if not _same(answer, right):
            wrong.append(question.__name__)
    return wrong


def _flips(path: Path, n_bytes: int) -> Iterator[tuple[int, int]]:
    """(position, pattern): every position, or the ends and a sample that is the same in every run."""
    if FULL:
        for position in range(n_bytes):
            yield from ((position, pattern) for pattern in {PATTERNS[0], PATTERNS[position % len(PATTERNS)]})
        return
    rng = np.random.default_rng(len(path.name) + n_bytes)
    positions = {0, n_bytes - 1, *rng.integers(0, n_bytes, SAMPLED_BYTES).tolist()}
    for i, position in enumerate(sorted(positions)):
        yield position, PATTERNS[i % len(PATTERNS)]


def test_the_atlas_is_healthy(folder, expected):
    assert _unnoticed(folder, expected) == []
    assert all(len(answer) > 3 for answer in expected)


def test_a_flipped_byte_is_reported_or_harmless(folder, expected):
    wrong = []
    for path in _objects(folder):
        healthy = path.read_bytes()
        for position, pattern in _flips(path, len(healthy)):
            damaged = bytearray(healthy)
            damaged[position] ^= pattern
            path.write_bytes(damaged)
            questions = _unnoticed(folder, expected)
            wrong += [f"{path.relative_to(folder)} byte {position} ^ {pattern:#x}: {name}" for name in questions]
        path.write_bytes(healthy)
    assert not wrong


def test_a_cut_object_is_reported_or_harmless(folder, expected):
    wrong = []
    for path in _objects(folder):
        healthy = path.read_bytes()
        for n_bytes in {0, 1, len(healthy) // 2, len(healthy) - 1}:
            path.write_bytes(healthy[:n_bytes])
            wrong += [f"{path.relative_to(folder)} cut to {n_bytes}: {name}" for name in _unnoticed(folder, expected)]
        path.write_bytes(healthy + b"\0")
        wrong += [f"{path.relative_to(folder)} and a byte more: {name}" for name in _unnoticed(folder, expected)]
        path.write_bytes(healthy)
    assert not wrong


def test_a_missing_object_is_reported_or_harmless(folder, expected):
    wrong = []
    for path in _objects(folder):
        healthy = path.read_bytes()
        path.unlink()
        wrong += [f"{path.relative_to(folder)} missing: {name}" for name in _unnoticed(folder, expected)]
        path.write_bytes(healthy)
    assert not wrong
