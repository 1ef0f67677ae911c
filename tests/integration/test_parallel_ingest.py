"""Several processes write to one atlas at once: datasets, while another one optimizes it and takes snapshots; and
layers and feature-major copies of the same groups."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox import _core

N_PROCESSES = 4
N_DATASETS = 3
SHARED = [f"shared{i}" for i in range(300)]


def uids_of(process: int) -> list[str]:
    """All processes register these at once, and each some of its own."""
    return [*SHARED, *(f"own{process}-{i}" for i in range(5))]


def dataset(process: int, number: int) -> Dataset:
    rng = np.random.default_rng(100 * process + number)
    uids = uids_of(process)
    matrix = sp.csr_matrix(rng.integers(0, 3, (20, len(uids))).astype(np.int32))
    obs = pd.DataFrame({"label": [f"p{process}"] * 20, "number": np.arange(20) + 20 * number})
    return Dataset(f"p{process}/d{number}", matrix, uids, obs)


WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from small_atlas import Cell, Feature, add
from test_parallel_ingest import N_DATASETS, dataset, hox, uids_of
folder, process = Path(sys.argv[1]), int(sys.argv[2])
atlas = hox.RaggedAtlas.open(str(folder), "cells", Cell)
(folder.parent / f"ready{process}").touch()
while not (folder.parent / "go").exists():
    time.sleep(0.005)
atlas.register_features("gene_expression", [Feature(uid=uid) for uid in uids_of(process)])
for number in range(N_DATASETS):
    add(atlas, dataset(process, number))
"""


@pytest.mark.slow
def test_four_processes_and_a_fifth_that_keeps_house(tmp_path):
    folder = tmp_path / "atlas"
    atlas = empty_atlas(folder, {"gene_expression": []})
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path])}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(process), str(here)], env=environment)
        for process in range(N_PROCESSES)
    ]
    try:
        while not all((tmp_path / f"ready{process}").exists() for process in range(N_PROCESSES)):
            assert all(writer.poll() is None for writer in writers)
            time.sleep(0.02)
        (tmp_path / "go").touch()
        recorded = {}
        while any(writer.poll() is None for writer in writers):
            atlas.optimize()
            try:
                version = atlas.snapshot()
            except hox.InvalidArgumentError as error:
                # Somebody registered features since they were indexed, and said so is what this must be.
                assert all("run optimize()" in line for line in str(error).splitlines()[1:]), error
                continue
            recorded[version] = hox.RaggedAtlas.checkout(str(folder), version).query().count()
        assert [writer.wait() for writer in writers] == [0] * N_PROCESSES
    finally:
        for writer in writers:
            writer.kill()

    # Every feature once, every dataset once, every cell once.
    registry = atlas.feature_registry("gene_expression")
    assert sorted(registry["uid"]) == sorted({uid for process in range(N_PROCESSES) for uid in uids_of(process)})
    assert sorted(atlas.list_datasets()["zarr_group"]) == sorted(
        f"p{process}/d{number}" for process in range(N_PROCESSES) for number in range(N_DATASETS)
    )
    snapshot = checked_out(atlas, folder)
    assert snapshot.validate() == []
    assert snapshot.feature_registry("gene_expression")["global_index"].to_list() == list(range(len(registry)))
    for process in range(N_PROCESSES):
        found = snapshot.query().where(f"label = 'p{process}'").to_anndata()
        found = found[np.argsort(found.obs["number"].to_numpy())]
        expected = sp.vstack([dataset(process, number).matrix for number in range(N_DATASETS)])
        assert (expected != found[:, uids_of(process)].X).nnz == 0

    # What was recorded meanwhile stayed as it was, and held whole datasets only.
    for version, n_cells in recorded.items():
        then = hox.RaggedAtlas.checkout(str(folder), version)
        assert then.query().count() == n_cells
        assert n_cells % 20 == 0
        assert then.validate() == []


PART_WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import anndata
from small_atlas import Cell
from test_parallel_ingest import N_DATASETS, dataset, hox
folder, part = Path(sys.argv[1]), sys.argv[2]
atlas = hox.RaggedAtlas.open(str(folder), "cells", Cell)
for number in range(N_DATASETS):
    (folder.parent / f"ready-{part}-{number}").touch()
    while not (folder.parent / f"go-{number}").exists():
        time.sleep(0.001)
    group = f"p0/d{number}"
    if part == "copy":
        hox.add_csc(atlas, group, "gene_expression")
    else:
        hox.add_layer(atlas, group, "gene_expression", dataset(0, number).anndata(), zarr_layer=part)
"""


@pytest.mark.slow
def test_layers_and_copies_of_one_group(tmp_path):
    folder, parts = tmp_path / "atlas", ["log_normalized", "tpm", "copy"]
    atlas = empty_atlas(folder, {"gene_expression": uids_of(0)})
    for number in range(N_DATASETS):
        add(atlas, dataset(0, number))
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path])}
    writers = [
        subprocess.Popen([sys.executable, "-c", PART_WRITER, str(folder), part, str(here)], env=environment)
        for part in parts
    ]
    try:
        for number in range(N_DATASETS):  # all begin each group together
            while not all((tmp_path / f"ready-{part}-{number}").exists() for part in parts):
                assert all(writer.poll() is None for writer in writers)
                time.sleep(0.001)
            (tmp_path / f"go-{number}").touch()
        assert [writer.wait() for writer in writers] == [0] * len(parts)
    finally:
        for writer in writers:
            writer.kill()
    for number in range(N_DATASETS):
        group = f"p0/d{number}"
        listed = {key for key, _, _ in _core.read_manifest(atlas.catalog.store, group)}
        assert listed == {key for key, _ in atlas.catalog.store.list(f"{group}/")} - {f"{group}/.hox-manifest"}
    snapshot = checked_out(atlas, folder)
    assert not snapshot.validate(deep=True)
    expected = sp.vstack([dataset(0, number).matrix for number in range(N_DATASETS)])
    for layer in ("counts", "log_normalized", "tpm"):
        found = snapshot.query().feature_spaces("gene_expression").layers("gene_expression", [layer]).to_anndata()
        assert (expected != found[:, uids_of(0)].X).nnz == 0
