"""An export that is killed leaves something that does not open as an atlas, or a complete one."""

from __future__ import annotations

import json
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
from homeobox import _core
from homeobox.errors import ConflictError, StoreError
from homeobox.ingest.claim import EXPORT_CLAIM, create_claim

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
            source.export(target)
            copy = hox.RaggedAtlas.checkout_latest(target)
        assert copy.validate(deep=True) == []
        opened = hox.RaggedAtlas.open(target, "cells")
        opened.clean()  # the claim of one that died after its last commit
        assert set(opened.leftovers()["kind"]) <= {"temporary file"}  # young, so perhaps a living writer's
        expected, found = source.query().to_anndata(), copy.query().to_anndata()
        assert (expected.X != found.X).nnz == 0
        pd.testing.assert_frame_equal(expected.obs, found.obs)


def left_by(store: _core.Store, *, age_s: float) -> None:
    """The claim of an export on another machine."""
    elsewhere = _core.MemoryStore()
    held = create_claim(elsewhere, EXPORT_CLAIM, "it", "export")
    document = json.loads(elsewhere.read(EXPORT_CLAIM))
    held.release()
    renewed = time.time() - age_s
    store.write(EXPORT_CLAIM, json.dumps({**document, "host": "elsewhere", "renewed": renewed}).encode())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def store(target: Path) -> _core.FileStore:
    return _core.FileStore(str(target / "zarr_store"))


def test_a_living_export_is_left_alone(source, target, store):
    left_by(store, age_s=60)
    store.write("one/half", b"x")
    with pytest.raises(FileExistsError, match=r"another export writes to .*elsewhere"):
        source.export(target)
    assert [key for key, _ in store.list("")] == [EXPORT_CLAIM, "one/half"]


def test_what_a_dead_export_left_gives_way_to_the_same_one(source, target, store):
    left_by(store, age_s=3600)
    store.write("zarr.json", b"{}")
    store.write("two/csr/indices/c/0", b"unfinished")
    source.export(target)
    assert hox.RaggedAtlas.checkout_latest(target).validate(deep=True) == []
    assert store.read(EXPORT_CLAIM) is None


@pytest.mark.parametrize("marker", [b"export begun at 1774000000\n", b""])
def test_a_claim_that_says_nothing_is_nobodys(source, target, store, marker):
    store.write(EXPORT_CLAIM, marker)
    source.export(target)
    assert store.read(EXPORT_CLAIM) is None


def test_what_is_not_of_the_export_is_not_removed(source, target, store):
    left_by(store, age_s=3600)
    store.write("one/half", b"x")
    store.write("mine/data", b"precious")
    before = store.list("")
    with pytest.raises(FileExistsError, match=r"died, and this one does not clear .* mine/data. Remove what is there"):
        source.export(target)
    store.remove("mine/data")
    (target / "lance_db" / "mine.lance").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="such as table 'mine'"):
        source.export(target)
    store.write("mine/data", b"precious")
    assert store.list("") == before


def test_a_claim_beside_a_whole_atlas_endangers_nothing(source, target, store):
    source.export(target)
    left_by(store, age_s=3600)
    before = store.list("")
    with pytest.raises(FileExistsError, match="holds an atlas"):
        source.export(target)
    assert store.list("") == before
    atlas = hox.RaggedAtlas.open(target, "cells")
    assert atlas.clean().select("path", "kind").rows() == [(EXPORT_CLAIM, "claim")]
    assert store.read(EXPORT_CLAIM) is None


def test_an_export_that_was_taken_for_dead_makes_no_atlas(source, target, store, monkeypatch):
    from homeobox.export import atlas as exporting

    def taken_over(*arguments, **options):
        left_by(store, age_s=0)
        copy_tables(*arguments, **options)

    copy_tables = exporting.copy_tables
    monkeypatch.setattr(exporting, "copy_tables", taken_over)
    with pytest.raises(ConflictError, match="taken over by another export"):
        source.export(target)
    assert not (target / "lance_db" / "cells.lance").exists()
    assert json.loads(store.read(EXPORT_CLAIM))["host"] == "elsewhere"
    assert store.read("one/.hox-manifest") is not None  # it is another's now


def test_of_two_exports_to_one_place_the_second_is_refused(source, target, monkeypatch):
    from homeobox.export import atlas as exporting

    def and_another(*arguments, **options):
        with pytest.raises(FileExistsError, match="another export writes"):
            source.export(target)
        copy_tables(*arguments, **options)

    copy_tables = exporting.copy_tables
    monkeypatch.setattr(exporting, "copy_tables", and_another)
    source.export(target)
    assert hox.RaggedAtlas.checkout_latest(target).validate() == []
