"""Names of groups after a restore: what a snapshot still shows is never touched, what nothing shows gives way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, Dataset, add, empty_atlas

import homeobox as hox
from homeobox.catalog import Catalog
from homeobox.errors import InvalidArgumentError

UIDS = ["a", "b", "c"]
OBS = pd.DataFrame({"label": ["x", "y"], "number": [1, 2]})


def dataset(group: str, factor: int = 1) -> Dataset:
    return Dataset(group, sp.csr_matrix(np.array([[1, 0, 2], [0, 3, 0]], dtype=np.int32) * factor), UIDS, OBS)


@pytest.fixture
def atlas(tmp_path: Path) -> hox.RaggedAtlas:
    atlas = empty_atlas(tmp_path, {"gene_expression": UIDS})
    add(atlas, dataset("first"))
    atlas.optimize()
    atlas.snapshot()
    return atlas


def values(folder: Path, version: int) -> list[list[int]]:
    return hox.RaggedAtlas.checkout(folder, version).query().to_anndata().X.toarray().tolist()


def test_arrays_of_a_snapshot_are_never_replaced(atlas, tmp_path, monkeypatch):
    append = Catalog.append_cells

    def interrupted(self: Catalog, rows: object) -> None:
        append(self, rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "append_cells", interrupted)
        with pytest.raises(KeyboardInterrupt):
            add(atlas, dataset("late"))
    assert atlas.snapshot() == 1
    before = values(tmp_path, 1)
    restored = hox.RaggedAtlas.restore(tmp_path, 0, Cell)
    for _ in range(2):  # with the marker of the interrupted ingest, and without
        with pytest.raises(InvalidArgumentError, match=r"'late' already exists .* snapshot\(s\) \[1\] point to it"):
            add(restored, dataset("late", 10))
    assert values(tmp_path, 1) == before
    assert not list(tmp_path.rglob(".hox-ingest*"))


def test_arrays_that_nothing_records_give_way(atlas, tmp_path):
    add(atlas, dataset("late"))
    restored = hox.RaggedAtlas.restore(tmp_path, 0, Cell)
    assert add(restored, dataset("late", 10)) == 2
    restored.optimize()
    assert restored.snapshot() == 1
    assert values(tmp_path, 1)[2:] == [[10, 0, 20], [0, 30, 0]]
