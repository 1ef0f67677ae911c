"""Groups of datasets do not lie inside one another, and whoever removes a group leaves what is another's there."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.catalog import Table
from homeobox.errors import ConflictError, InvalidArgumentError
from homeobox.ingest.group_claim import MARKER, claim_group, hold_group

UIDS = [f"gene{i}" for i in range(8)]


def dataset(group: str) -> Dataset:
    matrix = sp.csr_matrix(np.arange(40, dtype=np.int32).reshape(5, 8) % 5)
    return Dataset(group, matrix, UIDS, pd.DataFrame({"label": ["a"] * 5, "number": range(5)}))


@pytest.fixture
def atlas(tmp_path: Path) -> hox.RaggedAtlas:
    atlas = empty_atlas(tmp_path / "atlas", {"gene_expression": UIDS})
    add(atlas, dataset("first"))
    atlas.optimize()
    return atlas


def die(store: _core.Store, path: str) -> None:
    """Leave the claim of a writer that is gone, and an object of it."""
    claim = {"token": "x", "host": "elsewhere", "pid": 1, "started": 0, "renewed": time.time() - 7200}
    store.write(f"{path}/{MARKER}", json.dumps(claim).encode())
    store.write(f"{path}/half/c/0", b"unfinished")


def below(store: _core.Store, group: str) -> dict[str, bytes | None]:
    return {key: store.read(key) for key, _ in store.list(f"{group}/")}


@pytest.mark.parametrize(("there", "asked"), [("study", "study/batch1"), ("study/batch1", "study")])
def test_what_died_above_or_below_is_cleaned_first(atlas: hox.RaggedAtlas, there: str, asked: str) -> None:
    die(atlas.catalog.store, there)
    with pytest.raises(ConflictError, match=rf"'{there}', which an ingest that died has left; clean\(\) removes it"):
        add(atlas, dataset(asked))
    assert below(atlas.catalog.store, there)
    atlas.clean()
    add(atlas, dataset(asked))
    assert atlas.validate(deep=True) == []


@pytest.mark.parametrize(("there", "asked"), [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a")])
def test_a_living_writer_above_or_below_is_respected(there: str, asked: str) -> None:
    store = _core.MemoryStore()
    with claim_group(store, there, lambda: None):
        for claim in (lambda: claim_group(store, asked, lambda: None), lambda: hold_group(store, asked)):
            with pytest.raises(ConflictError, match=f"'{there}'.* is being written by another process"):
                claim()
    assert not store.list("")
    with claim_group(store, asked, lambda: None):
        pass


def test_of_two_that_ask_at_the_same_moment_one_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _core.MemoryStore()

    class Slow:
        """Another claims the group below after this one has looked and before it has created its marker."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def create(self, key: str, content: bytes) -> bool:
            self.other = claim_group(store, "a/b", lambda: None)
            return store.create(key, content)

    with pytest.raises(ConflictError, match="'a/b'"):
        claim_group(Slow(), "a", lambda: None)
    assert [key for key, _ in store.list("")] == [f"a/b/{MARKER}"]


@pytest.mark.parametrize("asked", ["first/b", "first/csr/b"])
def test_an_unneeded_group_is_no_place_for_another(atlas: hox.RaggedAtlas, asked: str) -> None:
    atlas.delete_dataset("first")
    with pytest.raises(InvalidArgumentError, match=f"'{asked}' would lie inside the group 'first' of another dataset"):
        add(atlas, dataset(asked))
    atlas.prune(1, confirm=True, min_age=datetime.timedelta(0))
    add(atlas, dataset(asked))
    assert atlas.validate(deep=True) == []


def test_groups_of_snapshots_count(atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    add(atlas, dataset("a/b"))
    atlas.optimize()
    atlas.snapshot()
    atlas.delete_dataset("a/b")
    with pytest.raises(InvalidArgumentError, match="'a' would enclose the group 'a/b'"):
        add(atlas, dataset("a"))
    assert hox.RaggedAtlas.checkout_latest(tmp_path / "atlas").validate(deep=True) == []


def test_a_dead_writer_around_a_finished_group_is_cleaned_alone(atlas: hox.RaggedAtlas) -> None:
    """Atlases of before claims of nested groups were refused have these."""
    store = atlas.catalog.store
    add(atlas, dataset("study/batch1"))
    atlas.optimize()
    atlas.snapshot()
    kept = below(store, "study/batch1")
    die(store, "study")
    with claim_group(store, "study/csc", lambda: None):  # a living one is left alone, too
        store.write("study/batch2/x", b"1")
        store.write(f"study/batch2/{MARKER}", store.read(f"study/csc/{MARKER}"))
        assert {row["path"] for row in atlas.clean().to_dicts()} == set()
    store.remove(f"study/batch2/{MARKER}")
    assert {row["path"] for row in atlas.clean().to_dicts()} == {"study"}
    assert below(store, "study") == kept
    assert atlas.validate(deep=True) == []


def test_an_error_removes_nothing_of_a_group_below() -> None:
    store = _core.MemoryStore()
    with pytest.raises(KeyboardInterrupt), claim_group(store, "a", lambda: None):
        store.write("a/c/0", b"x")
        store.write("a/b/.hox-manifest", b"x")
        store.write("a/b/c/0", b"x")
        raise KeyboardInterrupt
    assert [key for key, _ in store.list("")] == ["a/b/.hox-manifest", "a/b/c/0"]


def test_a_group_that_died_inside_another_is_no_layer_of_it(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    before = below(store, "first")
    die(store, "first/b")
    assert [(row["path"], row["kind"]) for row in atlas.leftovers().to_dicts()] == [("first/b", "ingest")]
    atlas.clean()
    assert below(store, "first") == before


def test_parts_of_a_group_are_claimed_inside_it(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    die(store, "first/csr/layers/tpm")
    hox.add_csc(atlas, "first", "gene_expression")
    with hold_group(store, "first"), pytest.raises(ConflictError, match="'first'"):
        claim_group(store, "first/csr/layers/more", lambda: None)
    atlas.clean()
    assert atlas.validate(deep=True) == []


def opened_versions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Fills with the recorded versions of tables that are opened from now on."""
    opened = []
    original = Table.open.__func__

    def noticed(cls: type[Table], location: object, name: str, version: int | None = None) -> Table:
        if version is not None:
            opened.append((name, version))
        return original(cls, location, name, version)

    monkeypatch.setattr(Table, "open", classmethod(noticed))
    return opened


def test_a_name_that_is_new_is_not_looked_up_in_every_snapshot(
    atlas: hox.RaggedAtlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        add(atlas, dataset(f"study/batch{number}"))
        atlas.optimize()
        atlas.snapshot()
    opened = opened_versions(monkeypatch)
    add(atlas, dataset("new"))
    add(atlas, dataset("study/new"))
    assert not opened
    atlas.delete_dataset("study/batch1")
    opened.clear()
    with pytest.raises(InvalidArgumentError, match=r"cells of snapshot\(s\) \[1, 2\] point to it"):
        add(atlas, dataset("study/batch1"))
    assert opened


@pytest.mark.parametrize("asked", ["first/b", "first/csr/b", "first"])
def test_groups_of_snapshots_count_without_a_manifest_too(atlas: hox.RaggedAtlas, asked: str) -> None:
    atlas.catalog.store.remove("first/.hox-manifest")  # as 0.2.2 writes them
    atlas.snapshot()
    atlas.delete_dataset("first")
    before = below(atlas.catalog.store, "first")
    with pytest.raises(InvalidArgumentError, match="'first'"):
        add(atlas, dataset(asked))
    assert below(atlas.catalog.store, "first") == before
