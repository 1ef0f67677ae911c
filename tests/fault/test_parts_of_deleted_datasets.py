"""A layer or a copy is planned, and its dataset goes before it is claimed: nothing is written, or to nobody else's."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, empty_atlas

import homeobox as hox
from homeobox.errors import ConflictError
from homeobox.ingest import csc, layer, manifest_update

UIDS = [f"feature{i}" for i in range(6)]
COUNTS = np.arange(18, dtype=np.float32).reshape(3, 6) % 5
NOW = datetime.timedelta(0)


def dataset(space: str) -> Dataset:
    matrix = COUNTS if space == "protein_abundance" else sp.csr_matrix(COUNTS)
    return Dataset("first", matrix, UIDS, pd.DataFrame({"label": ["a", "b", "c"], "number": [1, 2, 3]}), space)


def add_layer(atlas: hox.RaggedAtlas, space: str) -> None:
    layer_name = "clr_normalized" if space == "protein_abundance" else "tpm"
    hox.add_layer(atlas, "first", space, dataset(space).anndata(), zarr_layer=layer_name, whole_counts=False)


OPERATIONS: dict[str, tuple[ModuleType, str, Callable[[hox.RaggedAtlas], object]]] = {
    "sparse layer": (layer, "gene_expression", lambda atlas: add_layer(atlas, "gene_expression")),
    "dense layer": (layer, "protein_abundance", lambda atlas: add_layer(atlas, "protein_abundance")),
    "copy": (csc, "gene_expression", lambda atlas: hox.add_csc(atlas, "first", "gene_expression")),
}


def remove(atlas: hox.RaggedAtlas, space: str) -> None:
    del space
    atlas.delete_dataset("first")
    atlas.prune("all", confirm=True, min_age=NOW)


def replace(atlas: hox.RaggedAtlas, space: str) -> None:
    """By another dataset that has all that a plan looks at, its uid too."""
    uid = atlas.catalog.datasets.by_group()["first"]["uid"]
    remove(atlas, space)
    record = dataset(space).record().model_copy(update={"uid": uid})
    hox.add_from_anndata(
        atlas,
        dataset(space).anndata(),
        feature_space=space,
        zarr_layer="counts",
        dataset_record=record,
        whole_counts=False,
    )


def hide(atlas: hox.RaggedAtlas, space: str) -> None:
    """The state of a deletion that died between its commits."""
    del space
    atlas.catalog.cells.table.delete("true")


@pytest.mark.parametrize("meanwhile", [remove, replace, hide])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_dataset_that_goes_before_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: Callable[[hox.RaggedAtlas, str], None]
) -> None:
    module, space, operation = OPERATIONS[name]
    atlas = empty_atlas(tmp_path / "atlas", {"gene_expression": UIDS, "protein_abundance": UIDS})
    add(atlas, dataset(space))
    store = atlas.catalog.store
    claim_group = module.claim_group
    objects: list[tuple[str, int]] = []

    def late(*arguments: Any, **options: Any) -> Any:
        meanwhile(atlas, space)
        objects.extend(store.list(""))
        return claim_group(*arguments, **options)

    monkeypatch.setattr(module, "claim_group", late)
    with pytest.raises(ConflictError, match="dataset of zarr group 'first' was deleted or replaced"):
        operation(atlas)
    assert store.list("") == objects
    assert [fault for fault in atlas.validate(deep=True) if "run optimize()" not in fault] == []
    monkeypatch.undo()
    if meanwhile is replace:
        operation(atlas)
    if meanwhile is remove:
        add(atlas, dataset(space))
    assert [fault for fault in atlas.validate(deep=True) if "run optimize()" not in fault] == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_manifest_that_goes_before_it_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As where the writer was taken for dead after its last question: what it wrote must not count as whole."""
    _, space, operation = OPERATIONS[name]
    atlas = empty_atlas(tmp_path / "atlas", {"gene_expression": UIDS, "protein_abundance": UIDS})
    add(atlas, dataset(space))
    store = atlas.catalog.store
    claim = manifest_update.claim_group

    def late(*arguments: Any, **options: Any) -> Any:
        store.remove("first/.hox-manifest")
        return claim(*arguments, **options)

    monkeypatch.setattr(manifest_update, "claim_group", late)
    with pytest.raises(ConflictError, match="manifest of zarr group 'first' is gone"):
        operation(atlas)
    assert not [key for key, _ in store.list("first/") if "csc/" in key or "/tpm" in key or "/clr_" in key]
