"""An ingest that is stopped anywhere leaves the dataset wholly there or not at all, and the same call works again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.errors import HomeoboxError

UIDS = [f"gene{i}" for i in range(6)]


def dataset(group: str) -> Dataset:
    matrix = sp.csr_matrix(np.arange(18, dtype=np.int32).reshape(3, 6) % 5)
    return Dataset(group, matrix, UIDS[::-1], pd.DataFrame({"label": ["a", "b", "c"], "number": [1, 2, 3]}))


def assert_whole(folder: Path, groups: list[str]) -> None:
    """The atlas opens, validates, and gives exactly these datasets."""
    atlas = hox.RaggedAtlas.open(str(folder), "cells", Cell)
    snapshot = checked_out(atlas, folder)
    assert snapshot.list_datasets()["zarr_group"].to_list() == groups
    result = snapshot.query().to_anndata()
    expected = np.vstack([dataset(group).matrix.toarray()[:, ::-1] for group in groups])
    np.testing.assert_array_equal(result[:, UIDS].X.toarray(), expected)


def test_every_store_call_may_fail(tmp_path):
    atlas = empty_atlas(tmp_path, {"gene_expression": UIDS})
    add(atlas, dataset("earlier"))
    healthy = atlas.catalog.store
    n_failures = 0
    while True:
        atlas.catalog.store = _core.FailingStore(healthy, fail_on=n_failures + 1)
        try:
            add(atlas, dataset("late"))
            break
        except HomeoboxError:
            n_failures += 1
            assert n_failures < 500, "the same call is refused for ever"
            assert atlas.catalog.count_cells() == 3
        finally:
            atlas.catalog.store = healthy
    # At least one write per array and group, the claim and the manifest.
    assert n_failures > 10
    assert_whole(tmp_path, ["earlier", "late"])


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from test_ingest_faults import Cell, add, dataset
import homeobox as hox
from homeobox.catalog import Catalog, DatasetTable, LayoutTable
from homeobox.ingest import commit

owner, name = {
    "arrays": (commit, "_write_arrays"),
    "layout": (LayoutTable, "add_rows"),
    "dataset": (DatasetTable, "add"),
    "cells": (Catalog, "append_cells"),
}[sys.argv[2]]
original = getattr(owner, name)

def killed(*arguments):
    original(*arguments)
    os.kill(os.getpid(), 9)

setattr(owner, name, killed)
add(hox.RaggedAtlas.open(sys.argv[1], "cells", Cell), dataset("late"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["arrays", "layout", "dataset", "cells"])
def test_killed_after_any_step(tmp_path, step):
    atlas = empty_atlas(tmp_path, {"gene_expression": UIDS})
    add(atlas, dataset("earlier"))
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path])}
    command = [sys.executable, "-c", KILLED, str(tmp_path), step, str(here)]
    assert subprocess.run(command, env=environment, check=False).returncode == -9

    committed = step == "cells"
    assert atlas.catalog.count_cells() == (6 if committed else 3)
    if committed:
        with pytest.raises(HomeoboxError, match="zarr group 'late' already exists"):
            add(atlas, dataset("late"))
    else:
        assert add(atlas, dataset("late")) == 3
    assert_whole(tmp_path, ["earlier", "late"])
