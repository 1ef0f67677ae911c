"""An ingest of several groups that is stopped anywhere leaves all of them with all their cells, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, checked_out, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.errors import HomeoboxError

GENES = [f"gene{i}" for i in range(5)]
PROTEINS = ["cd3", "cd19"]
REGISTERED = {"gene_expression": GENES, "protein_abundance": PROTEINS}
PLACES = {"rna": ("gene_expression", "counts"), "prot": ("protein_abundance", "counts")}
RNA = np.arange(1, 21).reshape(4, 5) % 4
PROT = np.arange(6).reshape(3, 2)

mudata.set_options(pull_on_update=False)


def add(atlas: hox.RaggedAtlas, prefix: str) -> int:
    """Four cells with RNA, the first three with proteins."""
    cells = [f"{prefix}-{i}" for i in range(4)]

    def modality(matrix: np.ndarray | sp.csr_matrix, uids: list[str]) -> anndata.AnnData:
        var = pd.DataFrame({"global_feature_uid": uids}, index=uids)
        return anndata.AnnData(matrix, obs=pd.DataFrame(index=cells[: matrix.shape[0]]), var=var)

    mdata = mudata.MuData({"rna": modality(sp.csr_matrix(RNA), GENES), "prot": modality(PROT, PROTEINS)})
    records = {
        name: hox.DatasetRecord(zarr_group=f"{prefix}/{name}", feature_space=space, n_cells=mdata[name].n_obs)
        for name, (space, _) in PLACES.items()
    }
    return hox.add_from_mudata(atlas, mdata, modalities=PLACES, dataset_records=records)


def assert_whole(folder: Path, prefixes: list[str]) -> None:
    """The atlas opens, validates, and gives exactly these cells."""
    snapshot = checked_out(hox.RaggedAtlas.open(str(folder), "cells", Cell), folder)
    groups = sorted(f"{prefix}/{name}" for prefix in prefixes for name in PLACES)
    assert sorted(snapshot.list_datasets()["zarr_group"].to_list()) == groups
    rna = snapshot.query().feature_spaces("gene_expression").to_anndata()
    np.testing.assert_array_equal(rna[:, GENES].X.toarray(), np.vstack([RNA] * len(prefixes)))
    proteins = snapshot.query().where("protein_abundance.zarr_group != ''").feature_spaces("protein_abundance")
    np.testing.assert_array_equal(proteins.to_anndata()[:, PROTEINS].X, np.vstack([PROT] * len(prefixes)))


def test_every_store_call_may_fail(tmp_path):
    atlas = empty_atlas(tmp_path, REGISTERED)
    add(atlas, "earlier")
    healthy = atlas.catalog.store
    kept = healthy.list("")
    n_failures = 0
    while True:
        atlas.catalog.store = _core.FailingStore(healthy, fail_on=n_failures + 1)
        try:
            add(atlas, "late")
            break
        except HomeoboxError:
            n_failures += 1
            assert n_failures < 500, "the same call is refused for ever"
            assert atlas.catalog.count_cells() == 4
            assert len(atlas.list_datasets()) == 2
        finally:
            atlas.catalog.store = healthy
    # At least one write per array and group, and both claims and manifests.
    assert n_failures > 20
    assert set(kept) < set(healthy.list(""))
    assert_whole(tmp_path, ["earlier", "late"])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("step", ["layouts", "datasets"])
def test_a_failed_table_commit_takes_both_groups_back(tmp_path, monkeypatch, step, nth, when):
    """The second of two dataset rows may fail when the first is written, and what failed may have happened."""
    atlas = empty_atlas(tmp_path, REGISTERED)
    objects = atlas.catalog.store.list("")
    owner, name = {"layouts": (atlas.catalog.layouts, "add_rows"), "datasets": (atlas.catalog.datasets, "add")}[step]
    original, calls = getattr(owner, name), []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == nth and when == "before":
            raise hox.StoreError("lost")
        original(*arguments)
        if len(calls) == nth:
            raise hox.StoreError("lost")

    monkeypatch.setattr(owner, name, failing)
    with pytest.raises(hox.StoreError, match="lost"):
        add(atlas, "late")
    monkeypatch.undo()
    assert atlas.list_datasets().is_empty()
    # Nothing but the document of the folder that both groups lay in.
    assert {key for key, _ in atlas.catalog.store.list("")} - {key for key, _ in objects} == {"late/zarr.json"}
    assert add(atlas, "late") == 4
    assert_whole(tmp_path, ["late"])


def test_a_group_that_another_writer_holds_stops_all(tmp_path):
    from homeobox.ingest.group_claim import claim_group

    atlas = empty_atlas(tmp_path, REGISTERED)
    store = atlas.catalog.store
    with claim_group(store, "late/prot", lambda: None):
        before = store.list("late/")
        with pytest.raises(hox.ConflictError, match="'late/prot' is being written by another ingest"):
            add(atlas, "late")
        assert store.list("late/") == before
    assert add(atlas, "late") == 4
    assert_whole(tmp_path, ["late"])


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[4])
from test_several_groups_faults import Cell, add
import homeobox as hox
from homeobox.catalog import Catalog, DatasetTable, LayoutTable
from homeobox.ingest import commit

owner, name = {
    "claim": (commit, "claim_group"),
    "arrays": (commit, "_write_arrays"),
    "layout": (LayoutTable, "add_rows"),
    "dataset": (DatasetTable, "add"),
    "cells": (Catalog, "append_cells"),
}[sys.argv[2]]
original, left = getattr(owner, name), int(sys.argv[3])

def killed(*arguments):
    global left
    result = original(*arguments)
    left -= 1
    if not left:
        os.kill(os.getpid(), 9)
    return result

setattr(owner, name, killed)
add(hox.RaggedAtlas.open(sys.argv[1], "cells", Cell), "late")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "nth"),
    [
        ("claim", 1),
        ("claim", 2),
        ("arrays", 1),
        ("arrays", 2),
        ("layout", 2),
        ("dataset", 1),
        ("dataset", 2),
        ("cells", 1),
    ],
)
def test_killed_after_any_step(tmp_path, step, nth):
    atlas = empty_atlas(tmp_path, REGISTERED)
    add(atlas, "earlier")
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path])}
    command = [sys.executable, "-c", KILLED, str(tmp_path), step, str(nth), str(here)]
    assert subprocess.run(command, env=environment, check=False).returncode == -9

    committed = step == "cells"
    assert atlas.catalog.count_cells() == (8 if committed else 4)
    if committed:
        with pytest.raises(HomeoboxError, match="zarr group 'late/rna' already exists"):
            add(atlas, "late")
    else:
        assert add(atlas, "late") == 4
    assert_whole(tmp_path, ["earlier", "late"])
