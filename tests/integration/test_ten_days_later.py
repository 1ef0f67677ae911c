"""A snapshot stays what it was although the clock of whoever compacts, ingests and prunes is ten days ahead.

Lance, and 0.2.2 through it, takes versions of a week ago for old; only a clock that is moved for the whole process
shows that nothing here does. Needs the program faketime.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, Dataset, add, empty_atlas

import homeobox as hox

UIDS = [f"gene{i}" for i in range(20)]


def dataset(group: str, factor: int = 1) -> Dataset:
    counts = sp.csr_matrix(np.arange(400, dtype=np.int32).reshape(20, 20) % 7 * factor)
    return Dataset(group, counts, UIDS, pd.DataFrame({"label": ["a"] * 20, "number": range(20)}))


def later(root: str) -> None:
    """What others do ten days later."""
    atlas = hox.RaggedAtlas.open(root, "cells", Cell)
    atlas.optimize()
    atlas.delete_dataset("first")
    add(atlas, dataset("third", factor=2))
    atlas.optimize()
    report = atlas.prune(keep="all", confirm=True)
    assert report.removed and report.table_versions["cells"], report


def answer(root: Path) -> tuple[bytes, list[str], list[dict]]:
    atlas = hox.RaggedAtlas.checkout(root, "paper")
    result = atlas.query().to_anndata()
    return result.X.toarray().tobytes(), result.obs.index.to_list(), atlas.list_datasets().to_dicts()


@pytest.mark.skipif(shutil.which("faketime") is None, reason="the program faketime is not installed")
def test_a_snapshot_outlives_the_week(tmp_path: Path) -> None:
    root = tmp_path / "atlas"
    atlas = empty_atlas(root, {"gene_expression": UIDS})
    for group in ("first", "second"):
        add(atlas, dataset(group))
    atlas.optimize()
    atlas.snapshot("paper")
    before = answer(root)
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    script = "import sys, test_ten_days_later as test; test.later(sys.argv[1])"
    command = ["faketime", "-f", "+10d", sys.executable, "-c", script, str(root)]
    subprocess.run(command, env=environment, check=True, timeout=120)
    assert answer(root) == before
    assert hox.RaggedAtlas.checkout(root, "paper").validate(deep=True) == []
    assert sorted(atlas.list_datasets()["zarr_group"]) == ["second", "third"]
    assert atlas.validate(deep=True) == []
