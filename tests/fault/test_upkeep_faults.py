"""Whatever changes an atlas may die at any moment: the atlas stays whole, loses nothing, and the same call finishes."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from interleaved import copies
from mortal import mortal
from small_atlas import UIDS, Cell, Feature, add, dataset, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.errors import HomeoboxError
from homeobox.ingest.group_claim import MARKER, claim_group

NOW = datetime.timedelta(0)


def leave_an_unfinished_ingest(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    with claim_group(store, "unfinished", lambda: None):
        marker = {**json.loads(store.read(f"unfinished/{MARKER}")), "host": "elsewhere", "renewed": 0.0}
    store.write(f"unfinished/{MARKER}", json.dumps(marker).encode())
    for name in ("zarr.json", "csr/zarr.json"):
        store.write(f"unfinished/{name}", b"{}")
    record = hox.DatasetRecord(zarr_group="unfinished", feature_space="gene_expression", n_cells=3)
    atlas.catalog.datasets.add(record)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshot 0 has "first"; snapshot 1 has "second" too; then "first" was deleted, and an ingest died."""
    root = tmp_path_factory.mktemp("template") / "atlas"
    atlas = empty_atlas(root, {"gene_expression": UIDS})
    for group in ("first", "second"):
        add(atlas, dataset(group))
        atlas.optimize()
        atlas.snapshot(f"with {group}")
    atlas.delete_dataset("first")
    atlas.register_features("gene_expression", [Feature(uid="new")])
    leave_an_unfinished_ingest(atlas)
    return root


Operation = Callable[[hox.RaggedAtlas], object]
OPERATIONS: dict[str, Operation] = {
    "optimize": lambda atlas: atlas.optimize(),
    "snapshot": lambda atlas: [atlas.optimize(), atlas.snapshot("third")],
    "delete": lambda atlas: atlas.delete_dataset("second"),
    "prune": lambda atlas: atlas.prune(1, confirm=True, min_age=NOW),
    "clean": lambda atlas: atlas.clean(),
    "restore": lambda atlas: hox.RaggedAtlas.restore(atlas.catalog.location.root, "with first", Cell),
}


def opened(root: Path) -> hox.RaggedAtlas:
    return hox.RaggedAtlas.open(root, "cells", Cell)


def state(root: Path) -> dict[str, object]:
    """What an atlas shows: snapshots with their answers, datasets, features, groups of arrays."""
    atlas = opened(root)
    versions = hox.RaggedAtlas.list_versions(root)
    answers = {}
    for number, name in versions.select("version", "name").iter_rows():
        result = hox.RaggedAtlas.checkout(root, number).query().to_anndata()
        answers[number] = (name, result.X.toarray().tobytes(), result.obs.index.to_list())
    keys = [key for key, _ in atlas.catalog.store.list("")]
    return {
        "answers": answers,
        "datasets": sorted(atlas.list_datasets()["zarr_group"]),
        "rows": sorted(atlas.catalog.datasets.by_group()),
        "cells": sorted(atlas.catalog.scan_cells(["uid"])["uid"].to_pylist()),
        "features": atlas.catalog.registry("gene_expression").arrow().to_pydict(),
        "objects": sorted(keys),
    }


def assert_whole(root: Path, before: dict[str, object], after: dict[str, object], name: str) -> None:
    """Nothing is half-visible: what shows is of the state before or of the state after."""
    atlas = opened(root)
    faults = [fault for fault in atlas.validate(deep=True) if "run optimize()" not in fault]
    assert faults == []
    now = state(root)
    for what in ("datasets", "cells"):
        assert now[what] in (before[what], after[what]), what
    for number, answer in now["answers"].items():
        assert answer in (before["answers"].get(number), after["answers"].get(number)), number
    assert set(after["answers"]) - set(now["answers"]) <= ({2} if name == "snapshot" else set())


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_death_at_every_change(template: Path, tmp_path: Path, name: str, moment: str) -> None:
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(template, undisturbed)
    before = state(undisturbed)
    OPERATIONS[name](opened(undisturbed))
    after = state(undisturbed)

    for n, root in copies(template, tmp_path):
        atlas = opened(root)
        with mortal(atlas, n, after=moment == "after") as life:
            OPERATIONS[name](atlas)
        if not life.dead:
            break
        assert_whole(root, before, after, name)
        retried = opened(root)
        try:
            OPERATIONS[name](retried)
        except HomeoboxError as error:  # it had happened
            assert moment == "after" or name in ("delete", "snapshot")
            assert "no dataset" in str(error) or "has the name 'third' already" in str(error)
        if name in ("delete", "prune", "snapshot"):
            before_cleaning = state(root)
            retried.clean()  # claims of the dead
            after_cleaning = state(root)
            assert before_cleaning["answers"] == after_cleaning["answers"]
            expected = dict(after)
            expected["objects"] = [key for key in after["objects"] if not key.startswith("unfinished/")]
            expected["rows"] = [row for row in after["rows"] if row != "unfinished"]
            assert after_cleaning == expected
        else:
            assert state(root) == after
        assert retried.validate(deep=True) == [] or name in ("delete", "prune", "clean")
    assert n > 3


def test_a_feature_major_copy_may_die_at_every_store_call(template: Path, tmp_path: Path) -> None:
    root = tmp_path / "atlas"
    shutil.copytree(template, root)
    atlas = opened(root)
    healthy = atlas.catalog.store
    clean_objects = {key for key, _ in healthy.list("second/")}
    n_deaths = 0
    while True:
        # All calls fail from one on: who is dead cleans up nothing.
        atlas.catalog.store = _core.FailingStore(healthy, fail_on=n_deaths + 1, n_failures=10**9)
        try:
            hox.add_csc(atlas, "second", "gene_expression")
            break
        except HomeoboxError:
            n_deaths += 1
        finally:
            atlas.catalog.store = healthy
        assert [f for f in atlas.validate(deep=True) if "run optimize()" not in f] == []
        if healthy.size("second/csc/indptr/zarr.json") is not None:
            continue  # there; only listing it remained, which the next call does
        atlas.clean()
        assert {key for key, _ in healthy.list("second/")} - {"second/csc/zarr.json"} == clean_objects
    assert n_deaths > 10
    assert [f for f in atlas.validate(deep=True) if "run optimize()" not in f] == []


def test_an_ingest_may_die_at_every_store_call_and_is_cleaned(template: Path, tmp_path: Path) -> None:
    root = tmp_path / "atlas"
    shutil.copytree(template, root)
    atlas = opened(root)
    atlas.clean()
    atlas.optimize()
    healthy = atlas.catalog.store
    objects = healthy.list("")
    n_deaths = 0
    while True:
        atlas.catalog.store = _core.FailingStore(healthy, fail_on=n_deaths + 1, n_failures=10**9)
        try:
            add(atlas, dataset("late"))
            break
        except HomeoboxError:
            n_deaths += 1
        finally:
            atlas.catalog.store = healthy
        assert n_deaths < 500
        assert atlas.validate(deep=True) == []
        assert atlas.list_datasets()["zarr_group"].to_list() == ["second"]
        atlas.clean()
        assert healthy.list("") == objects
        assert list(atlas.catalog.datasets.by_group()) == ["second"]
        assert atlas.leftovers().is_empty()
    assert n_deaths > 10
    # The last call takes the claim away; without it the dataset is there all the same.
    assert sorted(atlas.list_datasets()["zarr_group"]) == ["late", "second"]
    assert atlas.validate(deep=True) == []


_KILLED = """
import os, random, sys, threading, time
sys.path[:0] = sys.argv[3:]
from pathlib import Path
import test_upkeep_faults as faults
import homeobox as hox

atlas = faults.opened(Path(sys.argv[1]))
faults.state(Path(sys.argv[1]))  # everything is loaded now
print("ready", flush=True)
for name in faults.OPERATIONS:
    try:
        faults.OPERATIONS[name](atlas)
    except hox.HomeoboxError as error:
        print(error)
"""


@pytest.mark.slow
def test_killed_at_any_moment(template: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """All operations one after another, killed by the system at random moments; then cleaned, whole, and usable."""
    here = Path(__file__).parent
    for number in range(4):
        root = tmp_path / f"{number}"
        shutil.copytree(template, root)
        command = [sys.executable, "-c", _KILLED, str(root), "", str(here), str(here.parent)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(float(rng.uniform(0, 0.25)))
            process.kill()
        atlas = opened(root)
        faults = [fault for fault in atlas.validate(deep=True) if "run optimize()" not in fault]
        assert faults == []
        atlas.clean()
        atlas.optimize()
        assert set(atlas.leftovers()["kind"]) <= {"temporary file", "table file"}  # young, so perhaps a living writer's
        number_of_snapshot = atlas.snapshot()
        assert hox.RaggedAtlas.checkout(root, number_of_snapshot).validate(deep=True) == []
        for version in hox.RaggedAtlas.list_versions(root)["version"]:
            hox.RaggedAtlas.checkout(root, version).query().to_anndata()
