"""An export that is killed leaves something that does not open as an atlas, or a complete one."""

from __future__ import annotations

import shutil
import signal
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
from homeobox.errors import StoreError

GENES = [f"gene{i:03}" for i in range(200)]

_EXPORT = """
import sys
import homeobox as hox
atlas = hox.RaggedAtlas.checkout_latest(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
atlas.export(sys.argv[2])
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> hox.RaggedAtlas:
    folder = tmp_path_factory.mktemp("source")
    atlas = empty_atlas(folder, {"gene_expression": GENES})
    generator = np.random.default_rng(2)
    obs = pd.DataFrame({"label": ["a", None] * 200, "number": range(400)})
    for group in ("one", "two", "three"):
        add(atlas, Dataset(group, sp.csr_matrix(generator.poisson(0.4, (400, 200)).astype("int32")), GENES, obs))
    return checked_out(atlas, folder)


def killed_after(source: hox.RaggedAtlas, target: Path, delay: float) -> None:
    command = [sys.executable, "-c", _EXPORT, source.catalog.location.root, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)


def duration(source: hox.RaggedAtlas, target: Path) -> float:
    begin = time.monotonic()
    source.export(target)
    return time.monotonic() - begin


@pytest.mark.slow
def test_killed_at_any_moment(source, tmp_path, rng):
    whole = duration(source, tmp_path / "whole")
    for attempt, delay in enumerate(rng.uniform(0, 1.5 * whole, 8)):
        target = tmp_path / f"target{attempt}"
        killed_after(source, target, delay)
        try:
            copy = hox.RaggedAtlas.checkout_latest(target)
        except (hox.NotFoundError, StoreError):  # the last table may be there without its first version
            with pytest.raises((hox.NotFoundError, FileNotFoundError, StoreError)):
                hox.RaggedAtlas.open(target, "cells")
            if any(path.is_file() for path in target.rglob("*")):
                with pytest.raises(FileExistsError, match="not empty"):
                    source.export(target)
                shutil.rmtree(target)
            source.export(target)
            copy = hox.RaggedAtlas.checkout_latest(target)
        assert copy.validate() == []
        expected, found = source.query().to_anndata(), copy.query().to_anndata()
        assert (expected.X != found.X).nnz == 0
        pd.testing.assert_frame_equal(expected.obs, found.obs)
