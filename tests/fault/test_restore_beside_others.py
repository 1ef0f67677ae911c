"""A restore and an ingest, a deletion or a cleaning at once: one of the two gives way, and the atlas stays whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from interleaved import copies, interleaved
from small_atlas import UIDS, Cell, add, dataset, empty_atlas

import homeobox as hox
from homeobox.errors import ConflictError, HomeoboxError
from homeobox.ingest.claim import create_claim
from homeobox.ingest.group_claim import MARKER, GroupClaim, hold_group
from homeobox.ingest.restore_claim import RESTORE_CLAIM


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshot 0 has the first two datasets, the latest state the last two; the deletion of the first died."""
    root = tmp_path_factory.mktemp("template") / "atlas"
    atlas = empty_atlas(root, {"gene_expression": UIDS})
    add(atlas, dataset("first"))
    add(atlas, dataset("second"))
    atlas.optimize()
    atlas.snapshot()
    add(atlas, dataset("third"))
    atlas.delete_dataset("first")
    atlas.snapshot()
    with hold_group(atlas.catalog.store, "first"):
        dead = {**json.loads(atlas.catalog.store.read(f"first/{MARKER}")), "host": "elsewhere", "renewed": 0.0}
    atlas.catalog.store.write(f"first/{MARKER}", json.dumps(dead).encode())
    atlas.catalog.datasets.add(dataset("first").record())
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "atlas")
    return tmp_path / "atlas"


def opened(root: Path) -> hox.RaggedAtlas:
    return hox.RaggedAtlas.open(root, "cells", Cell)


def restore(root: Path) -> None:
    hox.RaggedAtlas.restore(root, 0, Cell)


WRITERS: dict[str, Callable[[hox.RaggedAtlas], object]] = {
    "ingest": lambda atlas: add(atlas, dataset("fourth")),
    "deletion of what stays": lambda atlas: atlas.delete_dataset("second"),
    "deletion of what goes": lambda atlas: atlas.delete_dataset("third"),
    "cleaning": lambda atlas: atlas.clean(),
}


def assert_whole(root: Path) -> None:
    atlas = opened(root)
    assert [fault for fault in atlas.validate(deep=True) if "run optimize()" not in fault] == []
    atlas.clean()  # what the dead left, which the writer may not have come to
    atlas.optimize()
    atlas.snapshot()
    store = atlas.catalog.store
    assert [key for key, _ in store.list("") if key.endswith(MARKER) or key == RESTORE_CLAIM] == []
    assert atlas.leftovers().is_empty()


def told(errors: list[HomeoboxError], operation: Callable[..., object], *arguments: object) -> None:
    try:
        operation(*arguments)
    except HomeoboxError as error:
        errors.append(error)


def assert_expected(errors: list[HomeoboxError]) -> None:
    for error in errors:
        assert isinstance(error, (ConflictError, hox.NotFoundError, hox.InvalidArgumentError)), error
        if not isinstance(error, ConflictError):
            assert "no dataset with zarr group or uid" in str(error)


@pytest.mark.filterwarnings("ignore:restore drops")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_at_every_commit_of_a_restore(template: Path, tmp_path: Path, writer: str) -> None:
    refused = 0
    for n, root in copies(template, tmp_path):
        atlas = opened(root)
        errors: list[HomeoboxError] = []

        def come_in(root: Path = root, errors: list[HomeoboxError] = errors) -> None:
            told(errors, WRITERS[writer], opened(root))

        with interleaved(atlas, n, come_in) as meeting:
            told(errors, restore, root)
        assert_expected(errors)
        assert_whole(root)
        refused += bool(errors)
        if not meeting.met:
            break
    assert n > 4
    assert refused == (0 if writer == "cleaning" else n - 1)  # which passes over what it cannot claim


@pytest.mark.filterwarnings("ignore:restore drops")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_restore_at_every_change_of_a_writer(template: Path, tmp_path: Path, writer: str) -> None:
    for n, root in copies(template, tmp_path):
        atlas = opened(root)
        errors: list[HomeoboxError] = []

        def come_in(root: Path = root, errors: list[HomeoboxError] = errors) -> None:
            told(errors, restore, root)

        with interleaved(atlas, n, come_in, store=writer != "ingest") as meeting:
            told(errors, WRITERS[writer], atlas)
        assert_expected(errors)
        assert_whole(root)
        if not meeting.met:
            break
    assert n > (2 if writer == "ingest" else 3)  # its layout is stored


def slept(store: object, key: str) -> None:
    """The process of a claim is on another machine, and shows no sign of life."""
    document = json.loads(store.read(key))
    store.write(key, json.dumps({**document, "host": "elsewhere", "renewed": 0.0}).encode())


@pytest.mark.filterwarnings("ignore:restore drops")
@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_restore_that_was_taken_for_dead_commits_nothing_more(root: Path, n: int) -> None:
    """From the first commit that puts a table back to the last but one."""
    atlas = opened(root)

    def come_in() -> None:
        slept(atlas.catalog.store, RESTORE_CLAIM)
        add(opened(root), dataset("fourth"))
        versions.extend(table.version for table in atlas.catalog.tables)

    versions: list[int] = []
    with (
        interleaved(atlas, n, come_in, store=False) as meeting,
        pytest.raises(ConflictError, match=r"restoring of .* was taken over by another process"),
    ):
        restore(root)
    assert meeting.met
    # What was on its way was committed; nothing after it.
    assert sum(table.version for table in atlas.catalog.tables) <= sum(versions) + 1


@pytest.mark.filterwarnings("ignore:restore drops")
def test_a_writer_that_was_taken_for_dead_finds_that_the_atlas_was_restored(root: Path) -> None:
    """The layout is stored, so the commits of an ingest are its row and its cells."""
    atlas = opened(root)
    store = atlas.catalog.store
    confirm = GroupClaim.confirm
    n_asked = 0

    def asked(claim: GroupClaim) -> None:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 2:  # between the row and the cells
            mine = store.read(f"fourth/{MARKER}")
            slept(store, f"fourth/{MARKER}")
            restore(root)
            store.write(f"fourth/{MARKER}", mine)
        confirm(claim)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GroupClaim, "confirm", asked)
        with pytest.raises(ConflictError, match="row of zarr group 'fourth' is gone"):
            add(atlas, dataset("fourth"))
    assert n_asked == 2
    assert_whole(root)
    add(opened(root), dataset("fourth"))
    assert_whole(root)


def test_a_dead_restore_is_no_obstacle(root: Path) -> None:
    atlas = opened(root)
    for operation in (
        lambda: add(atlas, dataset("fourth")),
        lambda: atlas.delete_dataset("fourth"),
        lambda: restore(root),
        atlas.clean,
    ):
        claim = create_claim(atlas.catalog.store, RESTORE_CLAIM, "it", "process")
        slept(atlas.catalog.store, RESTORE_CLAIM)
        claim.abandon()
        assert (RESTORE_CLAIM, "claim") in atlas.leftovers().select("path", "kind").rows()
        operation()
        assert_whole(root)
