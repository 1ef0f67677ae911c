"""Snapshots: what they freeze, what they refuse, and that nothing destroys them."""

import datetime
import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import lance
import numpy as np
import pytest
from described_dataset import add_described_dataset

import homeobox as hox
from homeobox.catalog import Table, take_snapshot
from homeobox.catalog.versions import VersionTable
from homeobox.errors import ConflictError, NotFoundError, StoreError
from homeobox.ingest.pending import check_unrecorded


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "atlas"


def test_snapshots_count_from_zero(described_atlas: hox.RaggedAtlas, root: Path, small_pbmc: object) -> None:
    assert described_atlas.snapshot() == 0
    add_described_dataset(described_atlas, "second", small_pbmc.genes[5:20], 15)
    assert described_atlas.snapshot() == 1
    versions = hox.RaggedAtlas.list_versions(root)
    assert versions["version"].to_list() == [0, 1]
    assert versions["total_cells"].to_list() == [20, 35]
    assert versions["registry_table_names"].to_list() == ['{"gene_expression": "gene_expression_registry"}'] * 2
    assert versions["zarr_store_uri"].to_list() == [f"file://{root}/zarr_store"] * 2
    for version, n_cells in ((0, 20), (1, 35)):
        atlas = hox.RaggedAtlas.checkout(root, version)
        assert (atlas.version, atlas.query().count()) == (version, n_cells)
    assert hox.RaggedAtlas.checkout_latest(str(root) + "/").version == 1


def test_a_checkout_sees_nothing_of_what_comes_later(
    described_atlas: hox.RaggedAtlas, root: Path, gene_class: type
) -> None:
    described_atlas.snapshot()
    frozen = hox.RaggedAtlas.checkout_latest(root)
    described_atlas.register_features("gene_expression", [gene_class(uid="new", gene_symbol="new")])
    add_described_dataset(described_atlas, "second", ["new"], 5)
    described_atlas.optimize()
    for atlas in (frozen, hox.RaggedAtlas.checkout(root, 0)):
        assert atlas.catalog.count_cells() == 20
        assert atlas.list_datasets()["zarr_group"].to_list() == ["pbmc/first"]
        assert atlas.feature_registry("gene_expression").height == 60
        assert atlas.cell_table.count_rows() == 20
        assert atlas.validate() == []


def test_a_checkout_is_read_only(described_atlas: hox.RaggedAtlas, root: Path, gene_class: type) -> None:
    described_atlas.snapshot()
    atlas = hox.RaggedAtlas.checkout_latest(root)
    feature = gene_class(uid="new", gene_symbol="new")
    for write in (
        lambda: atlas.register_features("gene_expression", [feature]),
        lambda: atlas.catalog.append_cells(atlas.catalog.scan_cells()),
        atlas.optimize,
        atlas.snapshot,
    ):
        with pytest.raises(ValueError, match="read-only"):
            write()


def test_only_a_checkout_can_be_queried(described_atlas: hox.RaggedAtlas) -> None:
    for error in (RuntimeError, ValueError):
        with pytest.raises(error, match=r"query\(\) is only available on a versioned atlas"):
            described_atlas.query()


def test_missing_versions_are_told(described_atlas: hox.RaggedAtlas, root: Path) -> None:
    with pytest.raises(ValueError, match="No snapshots found in atlas"):
        hox.RaggedAtlas.checkout_latest(root)
    described_atlas.snapshot()
    for error in (ValueError, NotFoundError):
        with pytest.raises(error, match=r"Atlas version 99 not found; snapshots that exist: \[0\]"):
            hox.RaggedAtlas.checkout(root, 99)
    with pytest.raises(ValueError, match="Atlas version 99 not found"):
        hox.RaggedAtlas.restore(root, 99)


def test_an_atlas_with_faults_takes_no_snapshot(described_atlas: hox.RaggedAtlas, root: Path, gene_class: type) -> None:
    described_atlas.register_features("gene_expression", [gene_class(uid="new", gene_symbol="new")])
    described_atlas.catalog.store.remove("pbmc/first/csr/indices/zarr.json")
    with pytest.raises(ValueError, match="Atlas validation failed") as caught:
        described_atlas.snapshot()
    assert str(caught.value).splitlines()[1:] == [
        "- Registry 'gene_expression': 1 row(s) have no global_index; run optimize()",
        "- zarr group 'pbmc/first': missing required array 'csr/indices'",
    ]
    assert hox.RaggedAtlas.list_versions(root).height == 0


def test_snapshot_sees_what_other_handles_wrote(
    described_atlas: hox.RaggedAtlas, root: Path, cell_class: type, small_pbmc: object
) -> None:
    other = hox.RaggedAtlas.open(root, "cells", cell_class)
    add_described_dataset(other, "second", small_pbmc.genes[:3], 15)
    described_atlas.snapshot()
    assert hox.RaggedAtlas.checkout_latest(root).catalog.count_cells() == 35


def test_optimize_keeps_every_recorded_version(
    described_atlas: hox.RaggedAtlas, root: Path, small_pbmc: object
) -> None:
    described_atlas.snapshot()
    for number in range(3):
        add_described_dataset(described_atlas, f"more{number}", small_pbmc.genes[number : number + 9], 7)
        described_atlas.optimize()
    assert len(described_atlas.catalog.cells.table.dataset.get_fragments()) == 1
    # As if all of it were old: what prunes by age would take these files now.
    long_ago = (datetime.datetime.now() - datetime.timedelta(days=30)).timestamp()
    for path in (root / "lance_db").rglob("*"):
        os.utime(path, (long_ago, long_ago))
    described_atlas.optimize()
    atlas = hox.RaggedAtlas.checkout(root, 0)
    assert atlas.catalog.scan_cells().num_rows == 20
    assert atlas.validate() == []
    assert not lance.dataset(f"{root}/lance_db/cells.lance").tags.list()


def test_optimize_can_be_repeated(described_atlas: hox.RaggedAtlas) -> None:
    described_atlas.optimize()
    tables = [described_atlas.catalog.registry("gene_expression").table, described_atlas.catalog.layouts.table]
    before = [table.version for table in tables]
    described_atlas.optimize()
    assert [table.version for table in tables] == before


def test_restore_makes_a_snapshot_the_present(
    described_atlas: hox.RaggedAtlas, root: Path, cell_class: type, small_pbmc: object
) -> None:
    described_atlas.snapshot()
    add_described_dataset(described_atlas, "second", small_pbmc.genes[:3], 15)
    described_atlas.snapshot()
    restored = hox.RaggedAtlas.restore(root, 0, cell_class)
    assert restored.version is None
    assert restored.catalog.count_cells() == 20
    assert restored.list_datasets()["zarr_group"].to_list() == ["pbmc/first"]
    assert described_atlas.catalog.count_cells() == 20
    assert restored.snapshot() == 2
    assert [hox.RaggedAtlas.checkout(root, v).catalog.count_cells() for v in range(3)] == [20, 35, 20]


def test_a_moved_atlas_opens(described_atlas: hox.RaggedAtlas, root: Path, tmp_path: Path) -> None:
    described_atlas.snapshot()
    moved = tmp_path / "else where"
    shutil.move(root, moved)
    atlas = hox.RaggedAtlas.checkout_latest(moved)
    assert atlas.catalog.store_uri == f"file://{moved}/zarr_store"
    assert atlas.validate() == []
    assert hox.RaggedAtlas.open(moved, "cells").validate() == []


def test_a_copy_reads_its_own_arrays(described_atlas: hox.RaggedAtlas, root: Path, tmp_path: Path) -> None:
    described_atlas.snapshot()
    shutil.copytree(root, tmp_path / "copy")
    assert hox.RaggedAtlas.checkout_latest(tmp_path / "copy").catalog.store_uri == f"file://{tmp_path}/copy/zarr_store"


def test_a_relative_path_stays_good_after_chdir(
    described_atlas: hox.RaggedAtlas, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described_atlas.snapshot()
    monkeypatch.chdir(tmp_path)
    atlas = hox.RaggedAtlas.checkout_latest("./atlas/")
    monkeypatch.chdir("/")
    assert atlas.catalog.scan_cells(["uid"]).num_rows == 20


def test_an_own_version_table(tmp_path: Path, cell_class: type) -> None:
    atlas = hox.RaggedAtlas.create(
        tmp_path, "cells", cell_class, "ds", hox.DatasetRecord, registry_schemas={}, version_table_name="mine"
    )
    assert atlas.snapshot() == 0
    assert hox.RaggedAtlas.list_versions(tmp_path, version_table_name="mine").height == 1
    assert hox.RaggedAtlas.checkout_latest(tmp_path, version_table_name="mine").version == 0
    with pytest.raises(ValueError, match="not found"):
        hox.RaggedAtlas.checkout_latest(tmp_path)


_SIX_SNAPSHOTS = """
import json, os, sys, time
import homeobox as hox

root, begin = sys.argv[1:]
atlas = hox.RaggedAtlas.open(root, "cells")
print(flush=True)
while not os.path.exists(begin):
    time.sleep(0.001)
print(json.dumps([atlas.snapshot() for _ in range(6)]))
"""


@pytest.mark.slow
def test_racing_snapshots_get_numbers_of_their_own(
    described_atlas: hox.RaggedAtlas, root: Path, tmp_path: Path
) -> None:
    begin = tmp_path / "begin"
    command = [sys.executable, "-c", _SIX_SNAPSHOTS, str(root), str(begin)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    begin.touch()
    given = [number for process in processes for number in json.loads(process.communicate(timeout=120)[0])]
    assert sorted(given) == list(range(18))
    assert hox.RaggedAtlas.list_versions(root)["version"].to_list() == list(range(18))


def test_a_snapshot_that_loses_the_race_takes_the_next_number(
    described_atlas: hox.RaggedAtlas, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = hox.RaggedAtlas.open(root, "cells")
    write_fragments, raced = lance.fragment.write_fragments, []

    def write_after_a_rival(*args: object, **kwargs: object) -> object:
        written = write_fragments(*args, **kwargs)
        if not raced:
            raced.append(True)
            assert take_snapshot(other.catalog, None, nullcontext) == 0  # of a rival that knows no claims, as 0.2.2
        return written

    monkeypatch.setattr(lance.fragment, "write_fragments", write_after_a_rival)
    assert described_atlas.snapshot() == 1
    assert hox.RaggedAtlas.list_versions(root)["version"].to_list() == [0, 1]


def test_a_snapshot_has_a_name(described_atlas: hox.RaggedAtlas, root: Path, small_pbmc: object) -> None:
    assert described_atlas.snapshot() == 0
    assert "name" not in hox.RaggedAtlas.list_versions(root).columns  # as 0.2.2 lists them
    assert described_atlas.snapshot("paper-v1") == 1
    add_described_dataset(described_atlas, "second", small_pbmc.genes[:3], 15)
    assert described_atlas.snapshot(name="paper v2/ä") == 2
    versions = hox.RaggedAtlas.list_versions(root)
    assert versions.columns[:2] == ["version", "name"]
    assert versions["name"].to_list() == [None, "paper-v1", "paper v2/ä"]
    for which, number in (("paper-v1", 1), ("paper v2/ä", 2), ("0", 0), (0, 0), (np.int64(2), 2)):
        assert hox.RaggedAtlas.checkout(root, which).version == number
    assert hox.RaggedAtlas.restore(root, "paper-v1").catalog.count_cells() == 20
    assert "snapshots: 0, 1 (paper-v1), 2 (paper v2/ä)" in repr(described_atlas)


def test_names_are_unique_and_unlike_numbers_and_times(described_atlas: hox.RaggedAtlas, root: Path) -> None:
    described_atlas.snapshot("mine")
    for error in (ValueError, ConflictError):
        with pytest.raises(error, match="snapshot 0 has the name 'mine' already"):
            described_atlas.snapshot("mine")
    for name in ("0", "12", "2026-03-30", "2026-03-30T12:00", "", " mine"):
        with pytest.raises(ValueError, match="a snapshot's name"):
            described_atlas.snapshot(name)
    assert hox.RaggedAtlas.list_versions(root).height == 1


def test_a_name_that_a_rival_takes_is_refused(
    described_atlas: hox.RaggedAtlas, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = hox.RaggedAtlas.open(root, "cells")
    notes = type(described_atlas.catalog.versions.notes)
    add, raced = notes.add, []

    def add_after_a_rival(self: object, *arguments: object) -> str:
        if not raced:
            raced.append(True)
            assert take_snapshot(other.catalog, "mine", nullcontext) == 0
        return add(self, *arguments)

    monkeypatch.setattr(notes, "add", add_after_a_rival)
    with pytest.raises(ValueError, match="another snapshot took the name 'mine' meanwhile"):
        described_atlas.snapshot("mine")
    assert hox.RaggedAtlas.list_versions(root)["name"].to_list() == ["mine"]
    assert described_atlas.snapshot("other") == 1
    assert hox.RaggedAtlas.checkout(root, "mine").version == 0


def test_a_time_means_the_newest_snapshot_before_it(described_atlas: hox.RaggedAtlas, root: Path) -> None:
    for _ in range(3):
        described_atlas.snapshot()
    times = [datetime.datetime.fromisoformat(t) for t in hox.RaggedAtlas.list_versions(root)["created_at"]]
    moment = datetime.timedelta(microseconds=1)
    east = datetime.timezone(datetime.timedelta(hours=5))
    for which, number in (
        (times[1], 1),
        (times[1].isoformat(), 1),
        (times[1].replace(tzinfo=None), 1),
        (times[1].astimezone(east), 1),
        (times[2] - moment, 1),
        (times[2] + datetime.timedelta(days=400), 2),
        (times[2].date(), 2),
        (times[2].date().isoformat(), 2),
    ):
        assert hox.RaggedAtlas.checkout(root, which).version == number, which
    with pytest.raises(NotFoundError, match="the first snapshot was taken at"):
        hox.RaggedAtlas.checkout(root, times[0] - moment)


@pytest.mark.parametrize("which", [True, 1.5, b"0", None])
def test_what_means_no_snapshot_is_refused(described_atlas: hox.RaggedAtlas, root: Path, which: object) -> None:
    described_atlas.snapshot("mine")
    for take in (hox.RaggedAtlas.checkout, hox.RaggedAtlas.restore):
        with pytest.raises(ValueError, match="a snapshot is meant by its number, its name or a time"):
            take(root, which)
    with pytest.raises(NotFoundError, match=r"'nope' not found; snapshots that exist: \[0\]; by name: \['mine'\]"):
        hox.RaggedAtlas.checkout(root, "nope")


def test_a_snapshot_whose_arrays_may_be_replaced_meanwhile_is_taken_anew(
    described_atlas: hox.RaggedAtlas, root: Path, small_pbmc: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_described_dataset(described_atlas, "second", small_pbmc.genes[5:20], 15)
    other = hox.RaggedAtlas.open(root, "cells")
    add_row, raced = VersionTable.add, []

    def add_after_a_rival(self: object, *arguments: object) -> object:
        if not raced:
            raced.append(True)
            other.delete_dataset("second")
            add_described_dataset(other, "second", small_pbmc.genes[20:35], 9)
        return add_row(self, *arguments)

    monkeypatch.setattr(VersionTable, "add", add_after_a_rival)
    assert described_atlas.snapshot("mine") == 0
    assert raced
    versions = hox.RaggedAtlas.list_versions(root)
    assert versions.select("version", "name", "total_cells").rows() == [(0, "mine", 29)]
    assert hox.RaggedAtlas.checkout(root, "mine").validate() == []


def test_a_snapshot_that_never_gets_ahead_leaves_no_row(
    described_atlas: hox.RaggedAtlas, root: Path, small_pbmc: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = hox.RaggedAtlas.open(root, "cells")
    add_row = VersionTable.add
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def add_after_a_rival(self: object, *arguments: object) -> object:
        other.delete_dataset(other.list_datasets()["zarr_group"].to_list())
        add_described_dataset(other, "again", small_pbmc.genes[20:35], 9)
        return add_row(self, *arguments)

    monkeypatch.setattr(VersionTable, "add", add_after_a_rival)
    with pytest.raises(ConflictError, match="were deleted or restored during each of 8 tries"):
        described_atlas.snapshot("mine")
    assert hox.RaggedAtlas.list_versions(root).height == 0


def test_a_deletion_beside_a_snapshot_is_no_fault_of_the_atlas(
    described_atlas: hox.RaggedAtlas, root: Path, small_pbmc: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_described_dataset(described_atlas, "second", small_pbmc.genes[5:20], 15)
    other = hox.RaggedAtlas.open(root, "cells")
    opened, raced = Table.open, []

    def open_beside_a_deletion(location: object, name: str, version: int | None = None) -> Table:
        if name == described_atlas.catalog.datasets.table.name and not raced:
            raced.append(True)
            other.delete_dataset("second")
        return opened(location, name, version)

    monkeypatch.setattr(Table, "open", open_beside_a_deletion)
    assert described_atlas.snapshot() == 0
    assert raced
    assert hox.RaggedAtlas.list_versions(root)["total_cells"].to_list() == [20]


def test_a_recorded_version_that_cannot_be_opened_is_not_taken_for_gone(
    described_atlas: hox.RaggedAtlas, root: Path
) -> None:
    described_atlas.snapshot()
    table = described_atlas.catalog.cells.table
    manifest = root / "lance_db" / f"{table.name}.lance" / "_versions" / f"{2**64 - 1 - table.version}.manifest"
    described_atlas.delete_dataset("pbmc/first")
    assert manifest.exists()
    manifest.write_bytes(manifest.read_bytes()[:10])
    before = dict(described_atlas.catalog.store.list(""))
    for what in (
        lambda: check_unrecorded(described_atlas.catalog, "pbmc/first"),
        described_atlas.leftovers,
        lambda: hox.RaggedAtlas.checkout(root, 0),
    ):
        with pytest.raises(StoreError, match=r"version \d+ of table 'cells' .* cannot be opened"):
            what()
    assert dict(described_atlas.catalog.store.list("")) == before
