"""Eight processes ingest while a ninth snapshots and optimizes: everything arrives, once, and snapshots stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, Dataset, Feature, add, empty_atlas

import homeobox as hox

N_WRITERS = 8
SHARED = [f"shared{i}" for i in range(30)]


def uids_of(writer: int) -> list[str]:
    """Features that all have, and some that only neighbours have."""
    return SHARED[writer:] + [f"new{i}" for i in range(writer * 5, writer * 5 + 10)]


def dataset(writer: int) -> Dataset:
    rng = np.random.default_rng(writer)
    uids = uids_of(writer)
    counts = sp.csr_matrix(rng.poisson(0.5, (40 + writer, len(uids))).astype(np.int32))
    n_cells = counts.shape[0]
    obs = pd.DataFrame({"label": [f"writer{writer}"] * n_cells, "number": range(n_cells)})
    return Dataset(f"dataset{writer}", counts, uids, obs)


def ingest(root: str, writer: int) -> None:
    atlas = hox.RaggedAtlas.open(root, "cells", Cell)
    atlas.register_features("gene_expression", [Feature(uid=uid) for uid in uids_of(writer)])
    add(atlas, dataset(writer))


def answer(root: Path, version: int) -> tuple[bytes, list[str], list[str]]:
    query = hox.RaggedAtlas.checkout(root, version).query()
    if not query.count():
        return b"", [], []
    result = query.to_anndata()
    return result.X.toarray().tobytes(), result.obs.index.to_list(), result.var.index.to_list()


_INGEST = """
import os, sys, time
sys.path[:0] = sys.argv[4:]
import test_many_processes as test
print("ready", flush=True)
while not os.path.exists(sys.argv[3]):
    time.sleep(0.001)
test.ingest(sys.argv[1], int(sys.argv[2]))
"""


@pytest.mark.slow
def test_eight_ingest_while_a_ninth_snapshots_and_optimizes(tmp_path: Path) -> None:
    root, begin = tmp_path / "atlas", tmp_path / "begin"
    atlas = empty_atlas(root, {"gene_expression": SHARED})
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path])}
    writers = []
    for writer in range(N_WRITERS):
        command = [sys.executable, "-c", _INGEST, str(root), str(writer), str(begin), str(here), str(here.parent)]
        pipe = subprocess.PIPE
        writers.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
    for process in writers:
        assert process.stdout is not None
        process.stdout.readline()
    begin.touch()
    seen = {}
    while any(process.poll() is None for process in writers):
        atlas.optimize()
        try:
            version = atlas.snapshot()
        except hox.InvalidArgumentError as error:
            # Somebody registered features since they were indexed, and said so is what this must be.
            assert all("run optimize()" in line for line in str(error).splitlines()[1:]), error
            continue
        seen[version] = answer(root, version)
    for process in writers:
        assert process.wait(timeout=60) == 0, process.stderr.read()
    atlas.optimize()
    last = atlas.snapshot("all")
    assert seen

    assert sorted(atlas.list_datasets()["zarr_group"]) == [f"dataset{writer}" for writer in range(N_WRITERS)]
    assert atlas.validate(deep=True) == []
    # A commit that lost a race was made anew, with files of its own.
    assert set(atlas.leftovers()["kind"]) <= {"table file"}
    features = atlas.feature_registry("gene_expression")
    assert sorted(features["uid"]) == sorted(
        {uid for writer in range(N_WRITERS) for uid in uids_of(writer)} | {*SHARED}
    )
    assert features["global_index"].to_list() == list(range(features.height))
    result = hox.RaggedAtlas.checkout(root, last).query().to_anndata()
    for writer in range(N_WRITERS):
        expected = dataset(writer)
        found = result[(result.obs["label"] == f"writer{writer}").to_numpy(), expected.uids]
        order = np.argsort(found.obs["number"].to_numpy(), kind="stable")
        np.testing.assert_array_equal(found.X.toarray()[order], expected.matrix.toarray())
    for version, earlier in seen.items():
        snapshot = hox.RaggedAtlas.checkout(root, version)
        assert snapshot.validate(deep=True) == []
        if earlier is not None and snapshot.catalog.count_cells():
            assert answer(root, version) == earlier
