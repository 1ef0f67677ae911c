"""A snapshot is forgotten and its arrays are removed while it is exported: nothing is exported."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_atlas import UIDS, Cell, add, checked_out, dataset, empty_atlas

import homeobox as hox
from homeobox.errors import ConflictError
from homeobox.export import atlas as export_atlas
from homeobox.export.dataset import StoredDataset


@pytest.fixture
def atlas(tmp_path: Path) -> hox.RaggedAtlas:
    """Without manifests, as those of 0.2.2, so that nothing says which shards there are."""
    made = empty_atlas(tmp_path / "atlas", {"gene_expression": UIDS})
    add(made, dataset("first"))
    add(made, dataset("second"))
    made.catalog.store.remove("first/.hox-manifest")
    made.catalog.store.remove("second/.hox-manifest")
    return checked_out(made, tmp_path / "atlas")


def forget(atlas: hox.RaggedAtlas) -> None:
    other = hox.RaggedAtlas.open(atlas.catalog.location.root, "cells", Cell)
    other.delete_dataset(["first", "second"])
    other.snapshot()
    report = other.prune(1, confirm=True, min_age=datetime.timedelta(0))
    assert sorted(report.groups) == ["first", "second"]


def test_an_export_of_a_snapshot_that_is_forgotten_leaves_nothing(
    atlas: hox.RaggedAtlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_done = 0

    @contextlib.contextmanager
    def progress(label: str, n_rows: int) -> Iterator[Callable[[int], None]]:
        def advance(n: int) -> None:
            nonlocal n_done
            n_done += n
            if n_done == n_rows:
                forget(atlas)

        yield advance

    monkeypatch.setattr(export_atlas, "row_progress", progress)
    with pytest.raises(ConflictError, match=r"snapshot 0 of .* was forgotten"):
        atlas.export(tmp_path / "copy")
    assert n_done == 6
    assert not [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]


@pytest.mark.parametrize("in_pieces", [True, False])
def test_a_dataset_of_a_snapshot_that_is_forgotten_is_not_given(
    atlas: hox.RaggedAtlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_pieces: bool
) -> None:
    blocks = StoredDataset.blocks

    def slow_blocks(found: StoredDataset, layer: str) -> Iterator[object]:
        yield from blocks(found, layer)
        forget(atlas)

    monkeypatch.setattr(StoredDataset, "blocks", slow_blocks)
    with pytest.raises(ConflictError, match=r"snapshot 0 of .* was forgotten"):
        atlas.export_h5ad("first", tmp_path / "first.h5ad" if in_pieces else None)
    assert not list(tmp_path.glob("*.h5ad*"))
