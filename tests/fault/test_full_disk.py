"""A disk that is full, and one that is read-only: each write ends with a clear error, leaves nothing, and then works.

The disk is a small one in memory, which only root can mount; a part of it is filled by a ballast. It leaves room for
one page, two, three ... until the write gets through, so that the disk is full at every moment of it.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add

import homeobox as hox
from homeobox.errors import HomeoboxError
from homeobox.schema import SparseZarrPointer

UIDS = [f"gene{i}" for i in range(12)]
CHROMOSOMES = ["chr1", "chr2"]
N_CELLS = 300
PAGE = 4096
# Beyond it a write is refused for another reason than a full disk.
MOST_PAGES = 400


class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    chromatin_accessibility: SparseZarrPointer | None = None
    label: str | None = None
    number: int | None = None


class Disk:
    """A file system of its own, of 8 MB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free_pages(self) -> int:
        status = subprocess.run(["stat", "-f", "-c", "%a %S", self.folder], capture_output=True, check=True, text=True)
        blocks, size = map(int, status.stdout.split())
        return blocks * size // PAGE

    @contextlib.contextmanager
    def with_room(self, pages: int) -> Iterator[None]:
        """Fill the disk but for so many pages."""
        self._ballast.write_bytes(b"\0" * PAGE * (self.free_pages - pages))
        try:
            yield
        finally:
            self._ballast.unlink()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def source(rng: np.random.Generator, group: str) -> Dataset:
    matrix = sp.random(N_CELLS, len(UIDS), density=0.5, format="csr", random_state=rng)
    matrix.data = rng.integers(1, 300, matrix.nnz).astype(np.float32)
    return Dataset(group, matrix, UIDS, pd.DataFrame({"label": ["a"] * N_CELLS, "number": range(N_CELLS)}))


@pytest.fixture
def atlas(disk: Disk, rng: np.random.Generator) -> hox.RaggedAtlas:
    spaces = ["gene_expression", "chromatin_accessibility"]
    atlas = hox.create_or_open_atlas(
        disk.folder / "atlas",
        "cells",
        Cell,
        "datasets",
        hox.DatasetRecord,
        registry_schemas=dict.fromkeys(spaces, hox.FeatureBaseSchema),
    )
    for space, uids in zip(spaces, (UIDS, CHROMOSOMES), strict=True):
        atlas.register_features(space, [hox.FeatureBaseSchema(uid=uid) for uid in uids])
    atlas.optimize()
    add(atlas, source(rng, "earlier"))
    return atlas


def add_dataset(atlas: hox.RaggedAtlas, rng: np.random.Generator) -> None:
    add(atlas, source(rng, "late"), chunk_shape=(128,), shard_shape=(512,))


def add_layer(atlas: hox.RaggedAtlas, rng: np.random.Generator) -> None:
    values = sp.csr_matrix((N_CELLS, len(UIDS)), dtype=np.float32)
    obs = pd.DataFrame(index=[f"c{i}" for i in range(N_CELLS)])
    adata = anndata.AnnData(values, obs=obs, var=pd.DataFrame({"global_feature_uid": UIDS}, index=UIDS))
    hox.add_layer(atlas, "earlier", "gene_expression", adata, zarr_layer="tpm")


def add_csc(atlas: hox.RaggedAtlas, rng: np.random.Generator) -> None:
    hox.add_csc(atlas, "earlier", "gene_expression", chunk_size=128, shard_size=512, memory="4 KiB")


def add_fragments(atlas: hox.RaggedAtlas, rng: np.random.Generator) -> None:
    n = 5000
    starts = rng.integers(0, 100_000, n)
    frame = pl.DataFrame(
        {
            "chrom": rng.choice(CHROMOSOMES, n),
            "barcode": [f"cell-{i % N_CELLS}" for i in range(n)],
            "start": starts,
            "end": starts + rng.integers(1, 300, n),
        }
    )
    record = hox.DatasetRecord(zarr_group="late", feature_space="chromatin_accessibility", n_cells=N_CELLS)
    hox.add_fragments(atlas, frame, dataset_record=record)


def snapshot(atlas: hox.RaggedAtlas, rng: np.random.Generator) -> None:
    atlas.snapshot("late")


WRITES = [add_dataset, add_layer, add_csc, add_fragments, snapshot]
Write = Callable[[hox.RaggedAtlas, np.random.Generator], None]


def state(atlas: hox.RaggedAtlas) -> dict[str, object]:
    """What the atlas says that it has, and every object of its arrays."""
    return {
        "cells": atlas.catalog.count_cells(),
        "datasets": sorted(atlas.list_datasets()["zarr_group"]),
        "snapshots": atlas.catalog.versions.arrow()["version"].to_pylist(),
        "objects": sorted(key for key, _ in atlas.catalog.store.list("")),
        "faults": atlas.validate(deep=True),
    }


@pytest.mark.parametrize("write", WRITES)
def test_full_at_every_moment(disk: Disk, atlas: hox.RaggedAtlas, rng: np.random.Generator, write: Write) -> None:
    before = state(atlas)
    assert not before["faults"]
    for pages in range(MOST_PAGES):
        try:
            with disk.with_room(pages):
                write(atlas, rng)
            break
        except HomeoboxError as error:
            assert "No space left on device" in str(error) or "os error 28" in str(error)
        assert state(atlas) == before, pages
    else:
        pytest.fail(f"refused with room for {MOST_PAGES} pages")
    assert pages > 3
    assert state(atlas) != before
    assert not atlas.validate(deep=True)
    assert set(atlas.leftovers()["kind"]) <= {"table file"}  # of appends that failed; removed once they are old


@pytest.mark.parametrize("write", WRITES)
def test_read_only(disk: Disk, atlas: hox.RaggedAtlas, rng: np.random.Generator, write: Write) -> None:
    before = state(atlas)
    with disk.read_only(), pytest.raises(HomeoboxError, match=r"[Rr]ead-only file system"):
        write(atlas, rng)
    assert state(atlas) == before
    write(atlas, rng)
    assert state(atlas) != before
    assert not atlas.validate(deep=True)
    assert not atlas.leftovers().height
