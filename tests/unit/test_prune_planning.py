"""What planning a prune reads: each fragment once, and few of the versions that were only appended to."""

from __future__ import annotations

import datetime
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
from small_atlas import empty_atlas

import homeobox as hox
from homeobox.catalog import AtlasLocation, Table
from homeobox.catalog.table_versions import version_numbers, widest_versions

SCHEMA = pa.schema([pa.field("a", pa.int64()), pa.field("b", pa.int64())])


def rows(*values: int) -> pa.Table:
    return pa.Table.from_pylist([{"a": value, "b": value} for value in values], schema=SCHEMA)


def fragments_of(table: Table, version: int) -> set[tuple[str, ...]]:
    dataset = table.at(version).dataset
    return {
        (*(file.path for file in fragment.metadata.files), fragment.deletion_file() or "")
        for fragment in dataset.get_fragments()
    }


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Versions of every kind of commit that there is here."""
    location = AtlasLocation.parse(tmp_path)
    location.make_directories()
    table = Table.create(location, "t", SCHEMA)
    for value in range(3):
        table.append(rows(value, value + 10))
    table.delete("a = 10")
    for value in range(20, 23):
        table.append(rows(value))
    table.append_computed(lambda present: rows(present.num_rows))
    table.update_matching(["a"], rows(1))
    table.append(rows(30))
    table.compact()
    table.append(rows(31))
    table.restore(4)
    for value in range(40, 43):
        table.append(rows(value))
    return table


def test_the_widest_versions_have_every_fragment(table: Table, rng: np.random.Generator) -> None:
    everything = version_numbers(table)
    of = {version: fragments_of(table, version) for version in everything}
    for removed in ([], [6], [3, 4, 11], everything[1:-4:2]):
        if removed:
            table.remove_versions(removed)
        left = version_numbers(table)
        for wanted in [left, left[:1], left[-1:], *(rng.choice(left, 4, replace=False).tolist() for _ in range(20))]:
            widest = widest_versions(table, wanted)
            assert set(widest) <= set(wanted)
            expected = set().union(*(of[version] for version in wanted))
            assert set().union(*(of[version] for version in widest)) == expected, (removed, wanted, widest)
    assert widest_versions(table, []) == []


def test_a_history_of_appends_is_read_at_its_end(tmp_path: Path) -> None:
    location = AtlasLocation.parse(tmp_path)
    location.make_directories()
    table = Table.create(location, "t", SCHEMA)
    for value in range(30):
        table.append(rows(value))
    assert widest_versions(table, version_numbers(table)) == [31]
    assert widest_versions(table, [3, 9, 20]) == [20]


def test_no_more_of_a_history_is_read_than_lies_between_the_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = AtlasLocation.parse(tmp_path)
    location.make_directories()
    table = Table.create(location, "t", SCHEMA)
    for value in range(30):
        table.append(rows(value))
    read: list[int] = []
    get_transactions = lance.LanceDataset.get_transactions

    def counted(dataset: lance.LanceDataset, n: int) -> list[object]:
        read.append(n)
        return get_transactions(dataset, n)

    monkeypatch.setattr(lance.LanceDataset, "get_transactions", counted)
    assert widest_versions(table, [2]) == [2]
    assert read == []
    assert widest_versions(table, [2, 5]) == [5]
    assert read == [3]


def test_planning_does_not_read_every_version_of_every_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atlas = empty_atlas(tmp_path / "atlas", {"gene_expression": ["gene"]})
    catalog = atlas.catalog
    cells = catalog.cells_schema
    for number in range(25):
        group = f"g{number}"
        pointer = {"feature_space": "gene_expression", "zarr_group": group, "start": 0, "end": 0, "zarr_row": 0}
        row = dict.fromkeys(cells.names) | {"uid": group, "dataset_uid": group, "gene_expression": pointer}
        absent = {"feature_space": "", "zarr_group": "", "position": 0}
        catalog.append_cells(pa.Table.from_pylist([{**row, "protein_abundance": absent}], schema=cells))
        catalog.datasets.add(hox.DatasetRecord(zarr_group=group, feature_space="gene_expression", n_cells=1))
        catalog.store.write(f"{group}/.hox-manifest", b"x")
    opened: list[str] = []
    at = Table.at
    monkeypatch.setattr(Table, "at", lambda table, version: opened.append(table.name) or at(table, version))
    scanned: list[int] = []
    scanner = lance.LanceDataset.scanner
    monkeypatch.setattr(
        lance.LanceDataset, "scanner", lambda self, *a, **options: scanned.append(1) or scanner(self, *a, **options)
    )
    report = atlas.prune("all", confirm=False, min_age=datetime.timedelta(hours=1))
    assert report.groups == {}
    assert len(opened) <= 4
    assert len(scanned) <= 2 * 25 + 10
