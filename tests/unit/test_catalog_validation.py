"""Validation tells of everything and stops at nothing."""

import json

import pyarrow as pa
import pytest
from described_dataset import add_described_dataset

import homeobox as hox


def write_json(atlas: hox.RaggedAtlas, path: str, node: object) -> None:
    atlas.catalog.store.write(f"{path}/zarr.json", json.dumps(node).encode())


def add_cell(atlas: hox.RaggedAtlas, group: str) -> None:
    pointer = {"feature_space": "gene_expression", "zarr_group": group, "start": 0, "end": 1, "zarr_row": 0}
    cell = {"uid": f"cell of {group}", "dataset_uid": "", "gene_expression": pointer}
    atlas.catalog.append_cells(pa.Table.from_pylist([cell], schema=atlas.catalog.cells_schema))


def test_a_sound_atlas_has_no_faults(described_atlas: hox.RaggedAtlas, empty_atlas: hox.RaggedAtlas) -> None:
    assert described_atlas.validate() == []


def test_an_empty_atlas_has_no_faults(empty_atlas: hox.RaggedAtlas) -> None:
    assert empty_atlas.validate() == []


def test_a_missing_group_is_told(described_atlas: hox.RaggedAtlas, small_pbmc: object) -> None:
    add_described_dataset(described_atlas, "lost", small_pbmc.genes[:1], 3)
    for key, _ in described_atlas.catalog.store.list("lost/"):
        described_atlas.catalog.store.remove(key)
    assert described_atlas.validate() == [
        "zarr group 'lost': no group is stored there (dataset of feature space 'gene_expression')"
    ]
    assert described_atlas.validate(check_zarr=False) == []


def test_a_pending_dataset_is_no_fault_and_does_not_show(described_atlas: hox.RaggedAtlas, small_pbmc: object) -> None:
    catalog, genes = described_atlas.catalog, small_pbmc.genes
    layout_uid = described_atlas.list_datasets()["layout_uid"][0]
    pending = hox.DatasetRecord(zarr_group="pending", feature_space="gene_expression", n_cells=3, layout_uid=layout_uid)
    catalog.datasets.add(pending)
    for atlas in (described_atlas, snapshot_of(described_atlas)):
        assert atlas.validate(deep=False) == []
        assert atlas.list_datasets()["zarr_group"].to_list() == ["pbmc/first"]
        found = atlas.find_datasets_with_features(genes[0], "gene_expression")
        assert found["zarr_group"].to_list() == ["pbmc/first"]
        assert "datasets: 1\n" in repr(atlas)
    add_cell(described_atlas, "pending")
    assert described_atlas.list_datasets().height == 2


def snapshot_of(atlas: hox.RaggedAtlas) -> hox.RaggedAtlas:
    return hox.RaggedAtlas.checkout(atlas.catalog.location.root, atlas.snapshot())


def test_one_fault_hides_no_other(described_atlas: hox.RaggedAtlas) -> None:
    catalog = described_atlas.catalog
    catalog.store.write("pbmc/first/csr/layers/counts/zarr.json", b"{ not json")
    write_json(described_atlas, "strange", [1, 2])
    for group, space in (("strange", "gene_expression"), ("other", "never_registered")):
        catalog.datasets.add(hox.DatasetRecord(zarr_group=group, feature_space=space, n_cells=1))
        add_cell(described_atlas, group)
    catalog.datasets.set_layout(described_atlas.list_datasets()["uid"][0], "0123456789abcdef")
    registry = catalog.registry("gene_expression").table
    registry.append(pa.table({"uid": ["gap"], "global_index": [77], "gene_symbol": ["gap"]}).cast(registry.schema))
    faults = sorted(described_atlas.validate())
    expected = [
        "Registry 'gene_expression': global indices are not 0 to 60 without gaps and repeats",
        "_feature_layouts '0123456789abcdef': no such layout is stored (dataset of zarr group 'pbmc/first')",
        "zarr group 'other': no group is stored there (dataset of feature space 'never_registered')",
        "zarr group 'pbmc/first': could not be checked, CorruptDataError: 'pbmc/first/csr/layers/counts/zarr.json'",
        "zarr group 'strange': could not be checked, CorruptDataError: 'strange/zarr.json' must hold a JSON object",
    ]
    assert len(faults) == len(expected), faults
    assert all(fault.startswith(start) for fault, start in zip(faults, expected, strict=True)), faults


def test_layouts_are_checked_once_each(described_atlas: hox.RaggedAtlas, small_pbmc: object) -> None:
    catalog = described_atlas.catalog
    second = add_described_dataset(described_atlas, "second", small_pbmc.genes[:40], 3)
    rows = catalog.layouts.rows(second.layout_uid).slice(0, 1)
    waiting = rows.set_column(3, rows.schema.field("global_index"), pa.nulls(1, pa.int64()))
    catalog.layouts.table.update_matching(["layout_uid", "feature_uid"], waiting)
    assert described_atlas.validate() == [
        f"_feature_layouts '{second.layout_uid}': 1 row(s) have no global_index; run optimize()"
    ]
    assert described_atlas.validate(check_var_dfs=False) == []
    described_atlas.optimize()
    assert described_atlas.validate() == []


def test_layouts_have_the_indices_of_the_registry(described_atlas: hox.RaggedAtlas) -> None:
    layouts = described_atlas.catalog.layouts
    layout_uid = described_atlas.list_datasets()["layout_uid"][0]
    rows = layouts.rows(layout_uid).slice(0, 1)
    other = rows.set_column(3, rows.schema.field("global_index"), pa.array([59]))
    layouts.table.update_matching(["layout_uid", "feature_uid"], other)
    (fault,) = described_atlas.validate()
    assert "1 row(s) have a global_index other than the registry's. First 5: ['" in fault


@pytest.mark.parametrize("switch", ["check_zarr", "check_var_dfs", "check_registries"])
def test_checks_can_be_left_out(described_atlas: hox.RaggedAtlas, gene_class: type, switch: str) -> None:
    described_atlas.register_features("gene_expression", [gene_class(uid="new", gene_symbol="new")])
    faults = described_atlas.validate(**{switch: False})
    assert len(faults) == (0 if switch == "check_registries" else 1)
