"""Ingest of many files on a Dask cluster of this machine: what fails fails alone, and the table says why."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, Dataset, checked_out, empty_atlas

import homeobox as hox
from homeobox.errors import InvalidArgumentError

distributed = pytest.importorskip("distributed", reason="needs the extra homeobox[dask]")

UIDS = [f"gene{i}" for i in range(12)]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def source(name: str, rng: np.random.Generator) -> Dataset:
    matrix = sp.csr_matrix(rng.integers(0, 4, (15, 12)).astype(np.int32))
    return Dataset(name, matrix, UIDS, pd.DataFrame({"label": [f"{name}-{i}" for i in range(15)], "number": range(15)}))


def files_of(folder: Path, n: int, rng: np.random.Generator) -> list[Path]:
    folder.mkdir()
    paths = []
    for i in range(n):
        paths.append(folder / f"d{i}.h5ad")
        source(f"d{i}", rng).anndata().write_h5ad(paths[-1])
    return paths


def test_files_are_spread_and_failures_stay_alone(tmp_path, rng, client):
    import anndata

    from homeobox.dask import ingest

    folder = tmp_path / "atlas"
    empty_atlas(folder, {"gene_expression": UIDS})
    paths = files_of(tmp_path / "files", 8, rng)
    paths[2].write_bytes(paths[2].read_bytes()[:5000])
    stranger = anndata.read_h5ad(paths[5])
    stranger.var["global_feature_uid"] = [f"other{i}" for i in range(12)]
    stranger.write_h5ad(paths[5])
    paths.append(tmp_path / "files" / "none.h5ad")

    table = ingest(folder, paths, cell_schema=Cell, client=client)
    assert table.columns == ["zarr_group", "file", "status", "n_cells", "seconds", "tries", "error"]
    assert table["file"].to_list() == [str(path) for path in paths]
    assert table["zarr_group"].to_list() == [*(f"d{i}" for i in range(8)), "none"]
    failed = table.filter(table["status"] != "added")
    assert failed["zarr_group"].to_list() == ["d2", "d5", "none"]
    assert failed["status"].to_list() == ["failed"] * 3
    assert "d2.h5ad" in failed["error"][0]
    assert "not found in registry" in failed["error"][1]
    assert "NotFoundError" in failed["error"][2]
    good = [0, 1, 3, 4, 6, 7]
    assert table["n_cells"].to_list() == [15 if i in good else None for i in range(9)]
    assert table["error"].null_count() == 6

    snapshot = checked_out(hox.RaggedAtlas.open(str(folder), "cells", Cell), folder)
    result = snapshot.query().to_anndata()
    assert result.n_obs == 90
    by_label = {label: i for i, label in enumerate(result.obs["label"])}
    for i in good:
        expected = anndata.read_h5ad(paths[i])
        found = result[[by_label[label] for label in expected.obs["label"]], UIDS]
        assert (found.X != expected.X).nnz == 0

    # The same call again adds what failed before and is mended now.
    source("d2", rng).anndata().write_h5ad(paths[2])
    again = ingest(folder, paths[:4], cell_schema=Cell)  # by the current client
    assert again["status"].to_list() == ["present", "present", "added", "present"]

    # What has the name of a file but is something else is not that file.
    anndata.read_h5ad(paths[0])[:9].copy().write_h5ad(tmp_path / "files" / "shorter.h5ad")
    files = {"d0": tmp_path / "files" / "shorter.h5ad", "d1": paths[1]}
    other = ingest(folder, files, cell_schema=Cell, client=client)
    assert other["status"].to_list() == ["failed", "present"]
    assert "another dataset has the group 'd0': n_cells 15 there and 9 here" in other["error"][0]
    space = ingest(folder, {"d1": paths[1]}, cell_schema=Cell, client=client, feature_space="protein_abundance")
    assert "feature_space 'gene_expression' there and 'protein_abundance' here" in space["error"][0]


def add_or_refuse(atlas: hox.RaggedAtlas, path: str, group: str) -> int:
    """Any function of ours takes a file; this one refuses one."""
    if group == "odd":
        raise ValueError("not this one")
    record = hox.DatasetRecord(zarr_group=group, feature_space="gene_expression", n_cells=15)
    return hox.add_from_anndata(
        atlas, path, feature_space="gene_expression", zarr_layer="counts", dataset_record=record
    )


def test_a_function_of_the_users(tmp_path, rng, client):
    from homeobox.dask import ingest

    folder = tmp_path / "atlas"
    atlas = empty_atlas(folder, {"gene_expression": UIDS})
    first, second = files_of(tmp_path / "files", 2, rng)
    # The workers cannot import this module.
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    files = {"one": first, "two": second, "odd": second}
    table = ingest(folder, files, cell_schema=Cell, add=add_or_refuse, client=client)
    assert table["status"].to_list() == ["added", "added", "failed"]
    assert table["error"][2] == "ValueError: not this one"
    assert sorted(atlas.list_datasets()["zarr_group"]) == ["one", "two"]


def test_names_that_cannot_be_are_refused(tmp_path):
    from homeobox.dask import ingest

    with pytest.raises(InvalidArgumentError, match="would both be group 'a'"):
        ingest(tmp_path, ["x/a.h5ad", "y/a.h5ad"], cell_schema=Cell)
    with pytest.raises(InvalidArgumentError, match="'a' would enclose the group 'a/b'"):
        ingest(tmp_path, {"a": "x.h5ad", "a/b": "y.h5ad"}, cell_schema=Cell)
    with pytest.raises(InvalidArgumentError, match="found the path"):
        ingest(tmp_path, "x.h5ad", cell_schema=Cell)
    with pytest.raises(hox.errors.NotFoundError):
        ingest(tmp_path / "none", ["x.h5ad"], cell_schema=Cell)
