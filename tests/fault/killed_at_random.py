"""Kills a writer with SIGKILL at random moments, again and again, and looks at the atlas after each time.

    python killed_at_random.py FOLDER KILLS SEED

Every writer and every look is a fork of this process, which itself never touches an atlas: so each costs
milliseconds, and none inherits threads. Exits 1 with what was found wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse as sp
from small_atlas import Cell, Dataset, add, empty_atlas

import homeobox as hox
from homeobox.errors import HomeoboxError

UIDS = [f"gene{i}" for i in range(40)]
N_CELLS = 30


def dataset(number: int) -> Dataset:
    rng = np.random.default_rng(number)
    counts = rng.integers(0, 5, (N_CELLS, len(UIDS))) * (rng.random((N_CELLS, len(UIDS))) < 0.3)
    obs = pd.DataFrame({"label": [f"{number}-{i}" for i in range(N_CELLS)], "number": range(N_CELLS)})
    return Dataset(f"d{number:03}", sp.csr_matrix(counts.astype(np.int32)), UIDS[::-1], obs)


def opened(folder: Path) -> hox.RaggedAtlas:
    return hox.RaggedAtlas.open(str(folder), "cells", Cell)


def write(folder: Path) -> None:
    """The next dataset with its copy, a snapshot, and the end of the oldest dataset."""
    atlas = opened(folder)
    groups = sorted(atlas.list_datasets()["zarr_group"].to_list())
    number = 1 + max((int(group[1:]) for group in groups), default=-1)
    add(atlas, dataset(number), chunk_shape=(64,), shard_shape=(128,))
    hox.add_csc(atlas, f"d{number:03}", "gene_expression")
    atlas.optimize()
    atlas.snapshot()
    if len(groups) > 4:
        atlas.delete_dataset(groups[0])
        atlas.optimize()
        atlas.snapshot()
        atlas.prune(keep=3, confirm=True)


def answer(atlas: hox.RaggedAtlas) -> str:
    """A digest of all cells of a checked-out atlas; every row is compared with what was written first."""
    result = atlas.query().to_anndata()
    counts, labels = result[:, UIDS].X.toarray(), result.obs["label"].tolist()
    by_label = dict(zip(labels, counts, strict=True))
    assert len(by_label) == len(labels), "a cell occurs twice"
    groups = sorted({int(label.split("-")[0]) for label in labels})
    for number in groups:
        expected = dataset(number).matrix.toarray()[:, ::-1]
        found = np.stack([by_label.pop(f"{number}-{i}") for i in range(N_CELLS)])
        np.testing.assert_array_equal(found, expected, err_msg=f"dataset {number}")
    assert not by_label, f"cells of no dataset: {sorted(by_label)}"
    order = np.argsort(labels)
    return hashlib.sha256(counts[order].tobytes() + "".join(sorted(labels)).encode()).hexdigest()


def look(folder: Path, known: Path) -> None:
    """Open, validate, snapshot; old snapshots answer as before; what the dead left is found and removed."""
    atlas = opened(folder)
    atlas.optimize()
    faults = atlas.validate(deep=True)
    assert not faults, faults
    atlas.snapshot()
    seen: dict[str, str] = json.loads(known.read_text())
    for number in hox.RaggedAtlas.list_versions(str(folder))["version"].to_list():
        checked_out = hox.RaggedAtlas.checkout(str(folder), number)
        if not checked_out.query().count():
            continue
        found = answer(checked_out)
        assert seen.setdefault(str(number), found) == found, f"snapshot {number} changed"
    atlas.prune(keep=5, confirm=True)
    atlas.clean()
    # A temporary file of a writer that cannot be told to be dead stays for a while.
    dead = atlas.leftovers().filter(~pl.col("alive"))
    assert not dead.height, dead
    left = set(hox.RaggedAtlas.list_versions(str(folder))["version"].to_list())
    known.write_text(json.dumps({number: digest for number, digest in seen.items() if int(number) in left}))


def in_a_fork(task: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        task()
    except HomeoboxError as error:
        if "being written by another ingest" not in str(error):
            traceback.print_exc()
            os._exit(1)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended_well(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def main(folder: Path, n_kills: int, seed: int) -> int:
    print("seed", seed, flush=True)
    chance = random.Random(seed)
    known = folder / "known.json"
    known.write_text("{}")
    place = folder / "atlas"
    if not ended_well(in_a_fork(lambda: empty_atlas(place, {"gene_expression": UIDS}) and None)):
        return 1
    started = time.monotonic()
    if not ended_well(in_a_fork(lambda: write(place))):
        return 1
    duration = time.monotonic() - started
    for kill in range(n_kills):
        writer = in_a_fork(lambda: write(place))
        delay = chance.uniform(0, 2 * duration)
        time.sleep(delay)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        if not ended_well(in_a_fork(lambda: look(place, known))):
            print(f"after kill {kill}, {delay:.3f} s after its start (seed {seed})", file=sys.stderr)
            return 1
    return 0 if ended_well(in_a_fork(lambda: write(place))) and ended_well(in_a_fork(lambda: look(place, known))) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
