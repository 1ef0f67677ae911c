"""A prune and a restore, an ingest or a snapshot at once: the second is refused or seen, and nothing is lost."""

from __future__ import annotations

import datetime
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from interleaved import copies, interleaved
from small_atlas import UIDS, Cell, add, dataset, empty_atlas

import homeobox as hox
from homeobox.catalog import snapshot
from homeobox.catalog.versions import VersionTable
from homeobox.errors import ConflictError, HomeoboxError, NotFoundError
from homeobox.ingest.claim import UPKEEP_CLAIM, create_claim
from homeobox.upkeep import recording

GROUPS = ["first", "second", "third", "fourth"]
NOW = datetime.timedelta(0)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshot 0 has all four datasets, snapshot 1 only the last; no recent version has the others."""
    root = tmp_path_factory.mktemp("template") / "atlas"
    atlas = empty_atlas(root, {"gene_expression": UIDS})
    for group in GROUPS:
        add(atlas, dataset(group))
    atlas.optimize()
    atlas.snapshot("all")
    atlas.delete_dataset(GROUPS[:-1])
    atlas.snapshot("last")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "atlas")
    return tmp_path / "atlas"


def opened(root: Path) -> hox.RaggedAtlas:
    return hox.RaggedAtlas.open(root, "cells", Cell)


def prune(atlas: hox.RaggedAtlas) -> hox.PruneReport:
    return atlas.prune(1, confirm=True, min_age=NOW)


def restore(root: Path, version: int = 0) -> hox.RaggedAtlas:
    return hox.RaggedAtlas.restore(root, version, Cell)


def stored_groups(atlas: hox.RaggedAtlas) -> set[str]:
    return {key.split("/")[0] for key, _ in atlas.catalog.store.list("") if "/" in key}


def assert_whole(root: Path) -> set[str]:
    """Everything that any state shows can be read; the groups that have cells now."""
    atlas = opened(root)
    assert atlas.validate(deep=True) == []
    for version in hox.RaggedAtlas.list_versions(root)["version"]:
        snapshot = hox.RaggedAtlas.checkout(root, version)
        assert snapshot.validate(deep=True) == []
        snapshot.query().to_anndata()
    assert atlas.catalog.store.read(UPKEEP_CLAIM) is None
    return set(atlas.list_datasets()["zarr_group"])


@pytest.mark.slow
@pytest.mark.parametrize("version", [0, 1])
def test_a_restore_is_refused_at_every_moment_of_a_prune(template: Path, tmp_path: Path, version: int) -> None:
    refused = 0
    for n, root in copies(template, tmp_path):
        atlas = opened(root)
        errors: list[HomeoboxError] = []

        def come_in(root: Path = root, errors: list[HomeoboxError] = errors) -> None:
            try:
                restore(root, version)
            except HomeoboxError as error:
                errors.append(error)

        with interleaved(atlas, n, come_in) as meeting:
            report = prune(atlas)
        assert report.removed
        shown = assert_whole(root)
        if not meeting.met:
            break
        if errors:
            # What was not brought back is what was shown before, and went as it was to go.
            refused += 1
            if not (version == 0 and isinstance(errors[0], NotFoundError)):  # it was forgotten already
                assert isinstance(errors[0], ConflictError)
                assert "is held by another process" in str(errors[0])
            assert shown == {"fourth"} == stored_groups(atlas)
        else:
            # It came first, while nothing but the claim was there to be made.
            assert shown == {"fourth"} if version else shown == set(GROUPS) == stored_groups(atlas)
    assert refused > 10


def test_a_prune_is_refused_at_every_moment_of_a_restore(template: Path, tmp_path: Path) -> None:
    refused = 0
    for n, root in copies(template, tmp_path):
        atlas = opened(root)

        def come_in(atlas: hox.RaggedAtlas = atlas) -> None:
            nonlocal refused
            with pytest.raises(ConflictError, match=r"pruning and restoring of .* is held by another process"):
                prune(atlas)
            refused += 1

        with interleaved(atlas, n, come_in) as meeting:
            restore(root)
        assert assert_whole(root) == set(GROUPS)
        if not meeting.met:
            break
    assert refused > 3


def test_a_restore_while_the_user_is_asked_keeps_its_arrays(root: Path) -> None:
    atlas = opened(root)

    def restored_meanwhile(report: hox.PruneReport) -> bool:
        assert list(report.groups) == sorted(GROUPS[:-1])
        restore(root)
        return True

    report = atlas.prune(1, confirm=restored_meanwhile, min_age=NOW)
    assert report.groups == {}
    assert assert_whole(root) == set(GROUPS) == stored_groups(atlas)


def test_a_forgotten_snapshot_cannot_be_restored(root: Path) -> None:
    prune(opened(root))
    with pytest.raises(NotFoundError, match="Atlas version 0 not found"):
        restore(root)
    assert assert_whole(root) == {"fourth"}


@pytest.mark.slow
def test_an_ingest_at_any_moment_of_a_prune_is_refused_or_seen(template: Path, tmp_path: Path) -> None:
    """The name is one that is about to be freed."""
    ingested = 0
    for n, root in copies(template, tmp_path, step=2):
        atlas = opened(root)
        errors: list[HomeoboxError] = []

        def come_in(root: Path = root, errors: list[HomeoboxError] = errors) -> None:
            try:
                add(opened(root), dataset("second"))
            except HomeoboxError as error:
                errors.append(error)

        with interleaved(atlas, n, come_in) as meeting:
            prune(atlas)
        shown = assert_whole(root)
        if not meeting.met:
            break
        assert shown == ({"fourth"} if errors else {"second", "fourth"}), errors
        ingested += not errors
    assert ingested > 3


def test_a_snapshot_is_taken_anew_where_its_versions_were_pruned(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took longer than a prune waits for those that may be about to record a version."""
    monkeypatch.setattr(recording, "_WAIT_S", 0.0)
    pruned = 0
    for n, root in copies(template, tmp_path):
        atlas = opened(root)
        add(atlas, dataset("fifth"))

        def come_in(root: Path = root) -> None:
            nonlocal pruned
            other = opened(root)
            add(other, dataset("sixth"))
            try:
                pruned += prune(other).removed
            except ConflictError as error:
                assert "the snapshots of" in str(error)

        with interleaved(atlas, n, come_in) as meeting:
            number = atlas.snapshot()
        assert number in hox.RaggedAtlas.list_versions(root)["version"].to_list()
        assert_whole(root)
        if not meeting.met:
            break
    assert n > 2
    assert pruned


def test_a_snapshot_that_was_pinned_long_ago_at_every_commit_of_a_prune(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was checked for long, and records what it pinned while the prune is about to remove that."""
    monkeypatch.setattr(recording, "_WAIT_S", 0.0)
    check = snapshot.validate
    n_taken = 0
    for n, root in copies(template, tmp_path):
        atlas = opened(root)
        add(atlas, dataset("fifth"))
        is_pinned, may_go_on = threading.Event(), threading.Event()
        errors: list[ConflictError] = []

        def slow_check(catalog: Any, is_pinned: Any = is_pinned, may_go_on: Any = may_go_on) -> Any:
            is_pinned.set()
            may_go_on.wait()
            return check(catalog)

        def take(root: Path = root, errors: list[ConflictError] = errors) -> None:
            try:
                opened(root).snapshot("slow")
            except ConflictError as error:
                errors.append(error)

        with monkeypatch.context() as patch:
            patch.setattr(snapshot, "validate", slow_check)
            taker = threading.Thread(target=take)
            taker.start()
            assert is_pinned.wait(60)
        add(atlas, dataset("sixth"))

        def come_in(may_go_on: threading.Event = may_go_on, taker: threading.Thread = taker) -> None:
            may_go_on.set()
            taker.join()

        with interleaved(atlas, n, come_in, store=False) as meeting:
            assert prune(atlas).removed
        come_in()
        taken = "slow" in hox.RaggedAtlas.list_versions(root)["name"].to_list()
        assert taken == (not errors)
        n_taken += taken
        assert_whole(root)
        if not meeting.met:
            break
    assert n - 1 > n_taken >= 1


def test_a_snapshot_that_is_taken_back_is_never_the_only_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion makes the snapshot be taken anew; a prune meets it between the two."""
    monkeypatch.setattr(recording, "_WAIT_S", 0.0)
    atlas = opened(root)
    other = opened(root)
    remove = VersionTable.remove
    add(atlas, dataset("fifth"))

    def prune_first(versions: VersionTable, records: list[hox.schema.AtlasVersionRecord]) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(recording, "_WAIT_S", 0.0)
        with pytest.raises(ConflictError, match=r"the snapshots of .* is held by another process"):
            prune(other)
        remove(versions, records)
        assert len(hox.RaggedAtlas.list_versions(root)) == 2

    monkeypatch.setattr(VersionTable, "remove", prune_first)
    with interleaved(atlas, 3, lambda: other.delete_dataset("fifth")) as meeting:
        atlas.snapshot()
    assert meeting.met
    assert len(hox.RaggedAtlas.list_versions(root)) == 3
    assert_whole(root)


def test_a_prune_that_would_forget_the_last_snapshot_is_refused(root: Path) -> None:
    atlas = opened(root)

    def taken_back(report: hox.PruneReport) -> bool:
        atlas.catalog.versions.remove(atlas.catalog.versions.records()[1:])
        return bool(report.snapshots)

    with pytest.raises(ConflictError, match="none later than 0 is left"):
        atlas.prune(1, confirm=taken_back, min_age=NOW)
    assert len(hox.RaggedAtlas.list_versions(root)) == 1


def test_two_prunes_do_not_run_at_once(root: Path) -> None:
    atlas = opened(root)
    held = create_claim(atlas.catalog.store, UPKEEP_CLAIM, "it", "process")
    with pytest.raises(ConflictError, match="pruning and restoring of"):
        prune(atlas)
    assert hox.RaggedAtlas.list_versions(root).height == 2
    held.release()
    assert prune(atlas).removed


def test_a_prune_that_was_taken_for_dead_removes_nothing_more(root: Path) -> None:
    atlas = opened(root)
    store = atlas.catalog.store

    def taken_over() -> None:
        document = json.loads(store.read(UPKEEP_CLAIM))
        store.write(UPKEEP_CLAIM, json.dumps({**document, "host": "elsewhere", "token": "theirs"}).encode())

    with (
        pytest.raises(ConflictError, match="taken over by another process"),
        interleaved(atlas, 4, taken_over) as meeting,
    ):
        prune(atlas)
    assert meeting.met
    assert {"second", "third"} <= stored_groups(atlas)
    assert json.loads(store.read(UPKEEP_CLAIM))["token"] == "theirs"  # and is left alone


@pytest.mark.parametrize("operation", ["prune", "restore", "clean"])
def test_a_dead_prune_is_no_obstacle(root: Path, operation: str) -> None:
    atlas = opened(root)
    store = atlas.catalog.store
    held = create_claim(store, UPKEEP_CLAIM, "it", "process")
    document = json.loads(store.read(UPKEEP_CLAIM))
    held.release()
    store.write(UPKEEP_CLAIM, json.dumps({**document, "host": "elsewhere", "renewed": 0}).encode())
    assert atlas.leftovers().rows()[0][:2] == (UPKEEP_CLAIM, "claim")
    {"prune": lambda: prune(atlas), "restore": lambda: restore(root), "clean": atlas.clean}[operation]()
    assert_whole(root)
    assert atlas.leftovers().is_empty()


def test_groups_are_claimed_one_at_a_time(root: Path) -> None:
    atlas = opened(root)
    store = atlas.catalog.store
    most = 0

    def look() -> None:
        nonlocal most, n
        most = max(most, sum(key.endswith("/.hox-ingest") for key, _ in store.list("")))

    for n in range(1, 60, 4):
        copy = root.with_name(f"copy{n}")
        shutil.copytree(root, copy)
        atlas = opened(copy)
        store = atlas.catalog.store
        with interleaved(atlas, n, look):
            prune(atlas)
    assert most == 1
