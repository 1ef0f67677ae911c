"""A writer that was taken for dead stops before its commit, and touches nothing that is another's by now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interleaved import interleaved
from small_atlas import UIDS, Cell, add, dataset, empty_atlas

import homeobox as hox
from homeobox.errors import ConflictError
from homeobox.ingest import commit, csc, layer
from homeobox.ingest.group_claim import MARKER


@pytest.fixture
def atlas(tmp_path: Path) -> hox.RaggedAtlas:
    atlas = empty_atlas(tmp_path / "atlas", {"gene_expression": UIDS})
    add(atlas, dataset("first"))
    atlas.optimize()
    return atlas


def take_over(atlas: hox.RaggedAtlas) -> None:
    """All claims that are there become those of another machine."""
    store = atlas.catalog.store
    for key, _ in store.list(""):
        if key.endswith(f"/{MARKER}"):
            document = json.loads(store.read(key))
            store.write(key, json.dumps({**document, "host": "elsewhere", "token": "theirs"}).encode())


def claims(atlas: hox.RaggedAtlas) -> list[str]:
    return [key for key, _ in atlas.catalog.store.list("") if key.endswith(f"/{MARKER}")]


OPERATIONS = {
    "ingest": (commit, "second", lambda atlas: add(atlas, dataset("second"))),
    "copy": (csc, "first/csc", lambda atlas: hox.add_csc(atlas, "first", "gene_expression")),
    "layer": (
        layer,
        "first/csr/layers/tpm",
        lambda atlas: hox.add_layer(
            atlas, "first", "gene_expression", dataset("first").anndata(), zarr_layer="tpm", whole_counts=False
        ),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_who_lost_a_claim_in_the_last_moment_commits_nothing(
    atlas: hox.RaggedAtlas, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, claimed, operation = OPERATIONS[name]

    @contextlib.contextmanager
    def progress(label: str, n_rows: int) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n
            if done == n_rows:
                take_over(atlas)

        yield advance

    manifest = atlas.catalog.store.read("first/.hox-manifest")
    monkeypatch.setattr(module, "row_progress", progress)
    with pytest.raises(ConflictError, match=f"'{claimed}' was taken over by another ingest"):
        operation(atlas)
    assert claims(atlas) == [f"{claimed}/{MARKER}"]  # the other's
    assert atlas.list_datasets()["zarr_group"].to_list() == ["first"]
    assert atlas.catalog.store.read("first/.hox-manifest") == manifest
    assert atlas.catalog.store.size("first/csc/indptr/zarr.json") is None
    assert atlas.catalog.store.size("first/csr/layers/tpm/zarr.json") is None
    assert atlas.validate(deep=True) == []
    monkeypatch.undo()
    with pytest.raises(ConflictError, match="is being written by another ingest"):
        operation(atlas)


def test_a_deletion_that_lost_its_claim_leaves_the_row(atlas: hox.RaggedAtlas) -> None:
    """The claim, the cells, the row: which may be another dataset's by then, and is pending if it is not."""
    with (
        interleaved(atlas, 2, lambda: take_over(atlas)) as meeting,
        pytest.raises(ConflictError, match="'first' was taken over by another ingest"),
    ):
        atlas.delete_dataset("first")
    assert meeting.met
    assert "first" in atlas.catalog.datasets.by_group()
    assert atlas.list_datasets().is_empty()
    assert hox.RaggedAtlas.open(atlas.catalog.location.root, "cells", Cell).validate() == []
