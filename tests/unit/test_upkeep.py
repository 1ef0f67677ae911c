"""Deleting datasets, pruning, and cleaning up: what goes, what stays, and what is refused."""

from __future__ import annotations

import datetime
import json
import os
import time
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Cell, Dataset, add, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.catalog import Table
from homeobox.catalog import uncommitted_files as uncommitted_files_module
from homeobox.catalog.table_versions import versions_superseded
from homeobox.catalog.uncommitted_files import remove_uncommitted_files
from homeobox.errors import ConflictError, HomeoboxError, InvalidArgumentError, NotFoundError, StoreError
from homeobox.ingest.group_claim import MARKER, claim_group

UIDS = [f"gene{i}" for i in range(8)]
NOW = datetime.timedelta(0)


def dataset(group: str, n_cells: int = 5, factor: int = 1) -> Dataset:
    matrix = sp.csr_matrix(np.arange(n_cells * 8, dtype=np.int32).reshape(n_cells, 8) % 5 * factor)
    return Dataset(group, matrix, UIDS, pd.DataFrame({"label": ["a"] * n_cells, "number": range(n_cells)}))


@pytest.fixture
def atlas(tmp_path: Path) -> hox.RaggedAtlas:
    """Two datasets and no snapshot."""
    atlas = empty_atlas(tmp_path / "atlas", {"gene_expression": UIDS})
    for group in ("first", "second"):
        add(atlas, dataset(group))
    atlas.optimize()
    return atlas


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "atlas"


def groups_of(atlas: hox.RaggedAtlas) -> list[str]:
    return sorted(atlas.list_datasets()["zarr_group"])


def stored_groups(atlas: hox.RaggedAtlas) -> set[str]:
    return {key.split("/")[0] for key, _ in atlas.catalog.store.list("")} - {"zarr.json"}


def answer(root: Path, which: int | str) -> tuple[bytes, list[str]]:
    """What a snapshot gives, to the byte."""
    result = hox.RaggedAtlas.checkout(root, which).query().to_anndata()
    return result.X.toarray().tobytes(), result.obs.index.to_list()


# --- deleting ---


@pytest.mark.parametrize("by", ["zarr_group", "uid"])
def test_a_deleted_dataset_is_gone_but_for_snapshots(atlas: hox.RaggedAtlas, root: Path, by: str) -> None:
    atlas.snapshot("before")
    before = answer(root, "before")
    assert atlas.delete_dataset(atlas.list_datasets().filter(zarr_group="first")[by][0]) == 5
    assert groups_of(atlas) == ["second"]
    assert atlas.catalog.count_cells() == 5
    assert atlas.snapshot("after") == 1
    assert answer(root, "before") == before
    assert len(answer(root, "after")[1]) == 5
    assert hox.RaggedAtlas.checkout(root, "after").validate(deep=True) == []
    assert stored_groups(atlas) == {"first", "second"}
    with pytest.raises(InvalidArgumentError, match=r"cells of snapshot\(s\) \[0\] point to it"):
        add(atlas, dataset("first"))


def test_the_name_of_a_deleted_dataset_is_free(atlas: hox.RaggedAtlas) -> None:
    atlas.delete_dataset("first")
    add(atlas, dataset("first", factor=3))
    assert groups_of(atlas) == ["first", "second"]
    assert atlas.validate(deep=True) == []


def test_what_cannot_be_deleted(atlas: hox.RaggedAtlas, root: Path) -> None:
    for error in (NotFoundError, ValueError):
        with pytest.raises(error, match=r"no dataset with zarr group or uid 'nope' .* it has \['first', 'second'\]"):
            atlas.delete_dataset(["first", "nope"])
    atlas.snapshot()
    with pytest.raises(InvalidArgumentError, match="read-only"):
        hox.RaggedAtlas.checkout_latest(root).delete_dataset("first")
    with (
        claim_group(atlas.catalog.store, "first/csc", lambda: None),
        pytest.raises(ConflictError, match="'first/csc' is being written"),
    ):
        atlas.delete_dataset("first")
    assert groups_of(atlas) == ["first", "second"]
    assert atlas.delete_dataset([]) == 0
    assert atlas.delete_dataset(["first", "second"]) == 10
    assert atlas.catalog.count_cells() == 0


def test_datasets_that_share_cells_go_together(atlas: hox.RaggedAtlas) -> None:
    catalog = atlas.catalog
    rows = catalog.scan_cells(where="gene_expression.zarr_group = 'first'").to_pylist()
    for position, row in enumerate(rows):
        row["protein_abundance"] = {
            "feature_space": "protein_abundance",
            "zarr_group": "proteins",
            "position": position,
        }
    catalog.cells.table.delete("gene_expression.zarr_group = 'first'")
    catalog.append_cells(catalog.cells_schema.empty_table().from_pylist(rows, schema=catalog.cells_schema))
    catalog.datasets.add(hox.DatasetRecord(zarr_group="proteins", feature_space="protein_abundance", n_cells=5))
    for name in ("first", "proteins"):
        with pytest.raises(InvalidArgumentError, match=r"delete_dataset\(\['first', 'proteins'\]\)"):
            atlas.delete_dataset(name)
    assert atlas.delete_dataset(["proteins", "first"]) == 5
    assert groups_of(atlas) == ["second"]


# --- pruning ---


def test_pruning_says_what_it_frees_and_asks(atlas: hox.RaggedAtlas, root: Path, monkeypatch) -> None:
    atlas.snapshot("old")
    atlas.delete_dataset("first")
    atlas.snapshot("new")
    with pytest.raises(InvalidArgumentError, match=r"(?s)pass confirm=True.*snapshots: 0 \(old\).*first \("):
        atlas.prune(1, min_age=NOW)
    asked = []

    def refuse(report: hox.PruneReport) -> bool:
        asked.append(report)
        return False

    report = atlas.prune(keep=1, confirm=refuse, min_age=NOW)
    assert asked == [report]
    assert (report.removed, report.snapshots, list(report.groups)) == (False, {0: "old"}, ["first"])
    assert report.bytes > sum(report.groups.values()) > 0
    assert atlas.prune(1, confirm=False, min_age=NOW) == report
    assert len(answer(root, "old")[1]) == 10

    done = atlas.prune(1, confirm=True, min_age=NOW)
    assert (done.removed, done.snapshots, done.groups) == (True, report.snapshots, report.groups)
    assert stored_groups(atlas) == {"second"}
    assert hox.RaggedAtlas.list_versions(root)["name"].to_list() == ["new"]
    with pytest.raises(NotFoundError):
        hox.RaggedAtlas.checkout(root, "old")
    assert atlas.validate(deep=True) == []
    assert atlas.prune(1, confirm=True, min_age=NOW).groups == {}
    assert atlas.snapshot("old") == 2


@pytest.mark.parametrize(("typed", "removed"), [("y", True), ("YES", True), ("", False), ("no", False)])
def test_at_a_terminal_the_user_is_asked(atlas: hox.RaggedAtlas, monkeypatch, typed: str, removed: bool) -> None:
    atlas.snapshot("old")
    atlas.snapshot("new")
    questions = []

    def ask(question: str) -> str:
        questions.append(question)
        return typed

    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("builtins.input", ask)
    report = atlas.prune(1)
    assert report.removed is removed
    (question,) = questions
    assert "snapshots: 0 (old)" in question
    assert atlas.prune("all").is_empty  # nothing to ask about


def test_which_snapshots_stay(atlas: hox.RaggedAtlas, root: Path) -> None:
    for number in range(6):
        atlas.snapshot(f"s{number}")
    for keep, message in (("everything", "or 'all'"), (0, "at least 1"), (True, "at least 1"), (-1, "at least 1")):
        with pytest.raises(InvalidArgumentError, match=message):
            atlas.prune(keep, confirm=True)
    with pytest.raises(NotFoundError, match="'nope' not found"):
        atlas.prune(["nope"], confirm=True)
    assert atlas.prune("all", confirm=True).snapshots == {}
    assert atlas.prune(5, confirm=True).snapshots == {0: "s0"}
    assert atlas.prune([1, "s3"], confirm=True).snapshots == {2: "s2", 4: "s4"}
    assert hox.RaggedAtlas.list_versions(root)["version"].to_list() == [1, 3, 5]
    assert atlas.prune([], confirm=True).snapshots == {1: "s1", 3: "s3"}


def test_recent_versions_and_their_arrays_stay_for_writers_in_flight(atlas: hox.RaggedAtlas) -> None:
    atlas.delete_dataset("first")
    assert atlas.prune("all", confirm=True).is_empty
    assert stored_groups(atlas) == {"first", "second"}
    report = atlas.prune("all", confirm=True, min_age=NOW)
    assert list(report.groups) == ["first"]
    assert report.table_versions["cells"]
    assert stored_groups(atlas) == {"second"}
    assert len(atlas.catalog.cells.table.dataset.versions()) == 1
    assert atlas.validate() == []


def test_pruning_leaves_what_is_being_written_and_what_is_not_ours(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    atlas.delete_dataset("first")
    store.write("foreign/data", b"somebody's")
    with claim_group(store, "ingest", lambda: None), claim_group(store, "first/csc", lambda: None):
        store.write("ingest/.hox-manifest", b"about to be committed")
        atlas.prune("all", confirm=True, min_age=NOW)
        assert stored_groups(atlas) == {"first", "second", "foreign", "ingest"}
    atlas.prune("all", confirm=True, min_age=NOW)
    assert stored_groups(atlas) == {"second", "foreign"}


def test_a_dataset_of_022_is_pruned_although_it_has_no_manifest(atlas: hox.RaggedAtlas) -> None:
    atlas.catalog.store.remove("first/.hox-manifest")
    atlas.snapshot()
    atlas.delete_dataset("first")
    atlas.snapshot()
    assert list(atlas.prune(1, confirm=True, min_age=NOW).groups) == ["first"]
    assert stored_groups(atlas) == {"second"}


def test_a_dataset_row_that_waits_for_its_cells_keeps_its_arrays(atlas: hox.RaggedAtlas) -> None:
    uid = atlas.list_datasets().filter(zarr_group="first")["uid"][0]
    atlas.delete_dataset("first")
    atlas.catalog.datasets.add(
        hox.DatasetRecord(uid=uid, zarr_group="first", feature_space="gene_expression", n_cells=5)
    )
    assert atlas.prune("all", confirm=True, min_age=NOW).groups == {}


def test_old_snapshots_give_the_same_bytes_whatever_happens(atlas: hox.RaggedAtlas, root: Path) -> None:
    atlas.snapshot("old")
    before = answer(root, "old")
    atlas.delete_dataset("first")
    long_ago = time.time() - 10 * 24 * 3600
    for path in root.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    atlas.optimize()
    add(atlas, dataset("third", factor=2))
    atlas.optimize()
    atlas.prune(keep="all", confirm=True, min_age=NOW)
    assert answer(root, "old") == before
    assert hox.RaggedAtlas.checkout(root, "old").validate(deep=True) == []
    assert hox.RaggedAtlas.restore(root, "old", Cell).catalog.count_cells() == 10


# --- leftovers ---


def dead(marker: bytes) -> bytes:
    return json.dumps({**json.loads(marker), "host": "elsewhere", "renewed": time.time() - 7200}).encode()


def die(store: _core.Store, path: str) -> None:
    """Leave the claim of a writer that is gone, and an object of it."""
    with claim_group(store, path, lambda: None, replace_unclaimed=True):
        marker = dead(store.read(f"{path}/{MARKER}"))
    store.write(f"{path}/{MARKER}", marker)
    store.write(f"{path}/half/c/0", b"unfinished")


def kinds(frame: object) -> dict[tuple[str, str], bool]:
    return {(row["path"], row["kind"]): row["alive"] for row in frame.to_dicts()}


def test_leftovers_are_listed_and_cleaned(atlas: hox.RaggedAtlas, root: Path) -> None:
    assert atlas.leftovers().height == 0
    store = atlas.catalog.store
    before = {key for key, _ in store.list("")}
    die(store, "ingest")
    die(store, "first/csc")
    die(store, "second/csr/layers/tpm")
    record = hox.DatasetRecord(zarr_group="ingest", feature_space="gene_expression", n_cells=5)
    atlas.catalog.datasets.add(record)
    old, young = (root / "zarr_store" / "first" / f".hox-tmp-{name}" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"xy")
    long_ago = time.time() - 100_000
    os.utime(old, (long_ago, long_ago))

    found = atlas.leftovers()
    assert kinds(found) == {
        ("first/.hox-tmp-old", "temporary file"): False,
        ("first/.hox-tmp-young", "temporary file"): True,
        ("first/csc", "feature-major copy"): False,
        ("ingest", "dataset row"): False,
        ("ingest", "ingest"): False,
        ("second/csr/layers/tpm", "layer"): False,
    }
    ages = {row["path"]: row["age_s"] for row in found.to_dicts()}
    assert ages["first/csc"] == pytest.approx(7200, abs=60)
    assert found.filter(kind="ingest")["bytes"][0] > 10

    assert {path for path, _ in kinds(atlas.clean())} == {
        "first/.hox-tmp-old",
        "first/csc",
        "ingest",
        "second/csr/layers/tpm",
    }
    assert kinds(atlas.leftovers()) == {("first/.hox-tmp-young", "temporary file"): True}
    assert {key for key, _ in store.list("")} == before
    assert "ingest" not in atlas.catalog.datasets.by_group()
    assert atlas.validate(deep=True) == []
    hox.add_csc(atlas, "first", "gene_expression")


def test_a_marker_of_a_cleaner_of_cleaners_is_found(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    die(store, "other")
    marker = store.read(f"other/{MARKER}")
    atlas.clean()
    store.write(f"ingest/{MARKER}.cleaning.cleaning", marker)
    assert kinds(atlas.leftovers()) == {("ingest", "claim"): False}
    assert kinds(atlas.clean()) == {("ingest", "claim"): False}
    assert store.list("ingest/") == []
    assert atlas.leftovers().is_empty()


@pytest.mark.parametrize("again", ["clean", "prune"])
def test_a_removal_of_a_group_of_022_that_failed_is_finished(atlas: hox.RaggedAtlas, again: str) -> None:
    """It has no manifest, which says whose the rest is."""
    healthy = atlas.catalog.store
    healthy.remove("first/.hox-manifest")
    atlas.delete_dataset("first")
    atlas.snapshot()

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(healthy, name)

        def remove(self, key: str) -> None:
            if key.startswith("first/csr/indices/c/"):
                raise StoreError("no connection")
            healthy.remove(key)

    atlas.catalog.store = Failing()
    with pytest.raises(StoreError):
        atlas.prune(1, confirm=True, min_age=NOW)
    atlas.catalog.store = healthy
    rest = [key for key, _ in healthy.list("first/")]
    assert rest and not any(key.endswith("zarr.json") for key in rest)
    assert kinds(atlas.leftovers()) == {("first", "ingest"): False}
    if again == "clean":
        atlas.clean()
    else:
        atlas.prune(1, confirm=True, min_age=NOW)
    assert healthy.list("first/") == []
    assert atlas.leftovers().is_empty()


def test_nothing_alive_is_cleaned(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    with claim_group(store, "ingest", lambda: None):
        store.write("ingest/half/c/0", b"unfinished")
        for group in ("ingest", "pipeline of the user"):
            record = hox.DatasetRecord(zarr_group=group, feature_space="gene_expression", n_cells=5)
            atlas.catalog.datasets.add(record)
        assert set(kinds(atlas.leftovers()).values()) == {True}
        assert atlas.clean().height == 0
        assert store.read("ingest/half/c/0") == b"unfinished"
        assert {"ingest", "pipeline of the user"} <= set(atlas.catalog.datasets.by_group())


def test_an_old_row_without_a_claim_is_cleaned_but_not_its_arrays(atlas: hox.RaggedAtlas) -> None:
    record = hox.DatasetRecord(
        zarr_group="lost", feature_space="gene_expression", n_cells=5, created_at="2020-01-01T00:00:00+00:00"
    )
    atlas.catalog.datasets.add(record)
    atlas.catalog.store.write("lost/data", b"somebody's")
    assert kinds(atlas.clean()) == {("lost", "dataset row"): False}
    assert atlas.catalog.store.read("lost/data") == b"somebody's"


@pytest.mark.parametrize("recorded", ["now", "in a snapshot"])
def test_a_claim_on_what_is_whole_goes_alone(atlas: hox.RaggedAtlas, root: Path, recorded: str) -> None:
    store = atlas.catalog.store
    atlas.snapshot()
    before = answer(root, 0)
    if recorded == "in a snapshot":
        atlas.delete_dataset("first")
    with claim_group(store, "other", lambda: None):
        marker = dead(store.read(f"other/{MARKER}"))
    store.write(f"first/{MARKER}", marker)
    assert kinds(atlas.leftovers()) == {("first", "claim"): False}
    assert atlas.clean().height == 1
    assert store.read(f"first/{MARKER}") is None
    assert answer(root, 0) == before


def test_a_feature_major_copy_that_was_not_listed_is(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    manifest = store.read("first/.hox-manifest")
    hox.add_csc(atlas, "first", "gene_expression")
    listed = store.read("first/.hox-manifest")
    with claim_group(store, "other", lambda: None):
        marker = dead(store.read(f"other/{MARKER}"))
    store.write(f"first/csc/{MARKER}", marker)
    store.write("first/.hox-manifest", manifest)
    assert kinds(atlas.clean()) == {("first/csc", "claim"): False}
    assert store.read("first/.hox-manifest") == listed
    assert atlas.validate(deep=True) == []


def test_only_a_writable_atlas_is_kept_up(atlas: hox.RaggedAtlas, root: Path) -> None:
    atlas.snapshot()
    frozen = hox.RaggedAtlas.checkout_latest(root)
    assert frozen.leftovers().height == 0
    for call in (frozen.clean, lambda: frozen.prune(1, confirm=True)):
        with pytest.raises(HomeoboxError, match="read-only"):
            call()


# --- what a name, an age and a confirmation may be ---


def test_a_name_that_means_two_datasets_deletes_none(atlas: hox.RaggedAtlas) -> None:
    uid = atlas.list_datasets().filter(zarr_group="first")["uid"].item()
    add(atlas, dataset(uid))
    with pytest.raises(InvalidArgumentError, match=rf"'{uid}' means 2 datasets .*'{uid}'.*'first'|'first'.*'{uid}'"):
        atlas.delete_dataset(uid)
    assert groups_of(atlas) == sorted(["first", "second", uid])
    assert atlas.delete_dataset("first") == 5
    assert atlas.delete_dataset(uid) == 5
    assert groups_of(atlas) == ["second"]


def test_cells_without_a_dataset_row_can_be_deleted(atlas: hox.RaggedAtlas) -> None:
    atlas.catalog.datasets.table.delete("zarr_group = 'first'")
    with pytest.raises(InvalidArgumentError, match="without a dataset row"):
        atlas.snapshot()
    assert atlas.delete_dataset("first") == 5
    assert atlas.snapshot() == 0


@pytest.mark.parametrize("confirm", ["no", 1, 0, []])
def test_only_what_confirms_confirms(atlas: hox.RaggedAtlas, confirm: object) -> None:
    atlas.delete_dataset("first")
    with pytest.raises(InvalidArgumentError, match="confirm is True, False, a function or None, found"):
        atlas.prune("all", confirm=confirm, min_age=NOW)
    assert stored_groups(atlas) == {"first", "second"}


def test_numbers_to_keep_are_whole(atlas: hox.RaggedAtlas, root: Path) -> None:
    for _ in range(3):
        atlas.snapshot()
    for keep in (None, 2.0, np.float64(2)):
        with pytest.raises(InvalidArgumentError, match="keep is a number of snapshots"):
            atlas.prune(keep, confirm=True, min_age=NOW)
    with pytest.raises(InvalidArgumentError, match=r"min_age is a datetime.timedelta, found 3600 \(int\)"):
        atlas.prune(1, confirm=True, min_age=3600)
    assert hox.RaggedAtlas.list_versions(root).height == 3
    atlas.prune(np.array([0, 2]), confirm=True, min_age=NOW)
    assert hox.RaggedAtlas.list_versions(root)["version"].to_list() == [0, 2]
    atlas.prune(np.int64(1), confirm=True, min_age=NOW)
    assert hox.RaggedAtlas.list_versions(root)["version"].to_list() == [2]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be set here")
def test_ages_do_not_follow_the_clock_on_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an hour later by any watch, an hour and a half by the clock that was put forward in between."""
    begun = datetime.datetime(2026, 3, 29, 0, 45, tzinfo=datetime.UTC)

    class Table:
        class dataset:  # noqa: N801
            @staticmethod
            def versions() -> list[dict[str, object]]:
                local = datetime.datetime.fromtimestamp(begun.timestamp())
                return [{"version": n, "timestamp": local} for n in (1, 2)]

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(begun.timestamp() + 1800, tz)

    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        patch.setattr(datetime, "datetime", Clock)
        try:
            assert versions_superseded(Table, datetime.timedelta(hours=1)) == set()
            assert versions_superseded(Table, datetime.timedelta(minutes=29)) == {1}
        finally:
            patch.undo()
            time.tzset()


# --- restoring ---


def test_restoring_says_what_no_snapshot_has(atlas: hox.RaggedAtlas, root: Path, recwarn) -> None:
    atlas.snapshot()
    atlas.delete_dataset("second")
    hox.RaggedAtlas.restore(root, 0, Cell)
    assert not [warning for warning in recwarn if "restore" in str(warning.message)]
    add(atlas, dataset("third"))
    with pytest.warns(UserWarning, match=r"restore drops 1 dataset\(s\) that no snapshot has: third;") as warned:
        hox.RaggedAtlas.restore(root, 0, Cell)
    assert warned[0].filename == __file__
    assert groups_of(atlas) == ["first", "second"]


def test_nothing_is_restored_beside_a_writer(atlas: hox.RaggedAtlas, root: Path) -> None:
    atlas.snapshot()
    atlas.delete_dataset("first")
    with (
        claim_group(atlas.catalog.store, "third", lambda: None),
        pytest.raises(ConflictError, match=r"cannot restore .* 'third' is being written"),
    ):
        hox.RaggedAtlas.restore(root, 0, Cell)
    assert groups_of(atlas) == ["second"]
    hox.RaggedAtlas.restore(root, 0, Cell)
    assert groups_of(atlas) == ["first", "second"]


# --- files of tables ---


def uncommitted(atlas: hox.RaggedAtlas, age_s: float) -> Path:
    """The file of an append to the cells that died before its commit."""
    table = atlas.catalog.cells.table
    folder = Path(atlas.catalog.location.table_uri("cells")) / "data"
    before = set(folder.iterdir())
    lance.fragment.write_fragments(table.scan(), table.dataset)
    (path,) = set(folder.iterdir()) - before
    written = time.time() - age_s
    os.utime(path, (written, written))
    return path


def test_files_of_an_append_that_died_are_listed_and_cleaned(atlas: hox.RaggedAtlas, root: Path) -> None:
    atlas.snapshot()
    before = answer(root, 0)
    old, young = uncommitted(atlas, 100_000), uncommitted(atlas, 3600)
    found = {row["path"]: row for row in atlas.leftovers().to_dicts()}
    assert set(found) == {f"cells.lance/data/{path.name}" for path in (old, young)}
    row = found[f"cells.lance/data/{old.name}"]
    assert (row["kind"], row["bytes"], row["alive"]) == ("table file", old.stat().st_size, False)
    assert row["age_s"] == pytest.approx(100_000, abs=60)
    assert found[f"cells.lance/data/{young.name}"]["alive"]
    assert kinds(atlas.clean()) == {(f"cells.lance/data/{old.name}", "table file"): False}
    assert (old.exists(), young.exists()) == (False, True)
    assert answer(root, 0) == before
    assert atlas.validate(deep=True) == []


def test_files_of_older_versions_are_no_leftovers(atlas: hox.RaggedAtlas, root: Path) -> None:
    for number in range(3):
        add(atlas, dataset(f"more{number}"))
        atlas.snapshot()
    atlas.delete_dataset("first")
    atlas.optimize()
    atlas.delete_dataset("second")
    atlas.delete_dataset(["more0", "more1"])
    long_ago = time.time() - 100_000
    for path in root.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    answers = [answer(root, version) for version in range(3)]
    old = uncommitted(atlas, 100_000)
    assert kinds(atlas.clean()) == {(f"cells.lance/data/{old.name}", "table file"): False}
    assert [answer(root, version) for version in range(3)] == answers


def test_files_of_tables_stay_while_somebody_writes(atlas: hox.RaggedAtlas) -> None:
    """An append of days may have begun that long ago, and its ingest holds a claim."""
    path = uncommitted(atlas, 1_000_000)
    with claim_group(atlas.catalog.store, "third", lambda: None):
        assert kinds(atlas.leftovers())[(f"cells.lance/data/{path.name}", "table file")]
        atlas.clean()
        assert path.exists()
    atlas.clean()
    assert not path.exists()


def test_a_file_that_was_committed_since_it_was_listed_stays(atlas: hox.RaggedAtlas) -> None:
    table = atlas.catalog.cells.table
    fragments = lance.fragment.write_fragments(table.scan(), table.dataset)
    name = f"cells.lance/data/{fragments[0].files[0].path}"
    lance.LanceDataset.commit(table.dataset, lance.LanceOperation.Append(fragments), read_version=table.version)
    assert remove_uncommitted_files(atlas.catalog.location, [name]) == set()
    assert atlas.catalog.count_cells() == 20


def test_cleaning_reads_a_table_as_often_for_many_files_as_for_one(
    atlas: hox.RaggedAtlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_read = 0
    read = uncommitted_files_module.files_of_fragments

    def counted(table: Table) -> object:
        nonlocal n_read
        n_read += table.name == "cells"
        return read(table)

    monkeypatch.setattr(uncommitted_files_module, "files_of_fragments", counted)
    counts = []
    for n_files in (1, 5):
        for _ in range(n_files):
            uncommitted(atlas, 1_000_000)
        n_read = 0
        assert len(atlas.clean()) == n_files
        counts.append(n_read)
    assert counts[0] == counts[1]
