"""Layouts of feature spaces that have the same features with other indices: kept apart, shared, completed, repaired."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import scipy.sparse as sp
import small_atlas

import homeobox as hox
from homeobox.catalog import layout_rows
from homeobox.errors import ConflictError

# The datasets have cells of their own, so each answer leaves out those of the others.
pytestmark = pytest.mark.filterwarnings("ignore:.* cells have no .* data and are left out")

UIDS = ["c", "a", "b"]
REGISTERED = {"gene_expression": ["a", "aa", "b", "c"], "protein_abundance": UIDS}
COUNTS = np.array([[1, 0, 2], [0, 4, 3]], dtype=np.float32)
PLAIN = hox.compute_layout_uid(UIDS)


def dataset(space: str, group: str | None = None) -> small_atlas.Dataset:
    counts = sp.csr_matrix(COUNTS) if space == "gene_expression" else COUNTS + 10
    return small_atlas.Dataset(group or space, counts, UIDS, pd.DataFrame({"label": ["x", "y"]}), space)


def opened(folder: Path, *spaces: str) -> hox.RaggedAtlas:
    """A handle with the registries of some spaces only."""
    tables = {space: f"{space}_registry" for space in spaces}
    return hox.RaggedAtlas.open(str(folder), "cells", small_atlas.Cell, registry_tables=tables)


def layout_of(atlas: hox.RaggedAtlas, group: str) -> str:
    return atlas.catalog.datasets.by_group()[group]["layout_uid"]


def check_healthy(atlas: hox.RaggedAtlas, folder: Path) -> None:
    """A snapshot can be taken, and gives each dataset its values under its features."""
    snapshot = small_atlas.checked_out(atlas, folder)
    assert snapshot.validate(deep=True) == []
    for space in snapshot.list_datasets()["feature_space"].unique():
        found = snapshot.query().feature_spaces(space).to_anndata()[:, UIDS].X
        found = found.toarray() if sp.issparse(found) else np.asarray(found)
        expected = dataset(space).matrix
        expected = expected.toarray() if sp.issparse(expected) else expected
        measured = found[found.sum(axis=1) > 0]
        assert np.array_equal(measured, np.tile(expected, (len(measured) // 2, 1)))


def add_row(atlas: hox.RaggedAtlas, layout_uid: str, space: str, group: str = "g") -> hox.DatasetRecord:
    record = hox.DatasetRecord(zarr_group=group, feature_space=space, n_cells=0, layout_uid=layout_uid)
    atlas.catalog.datasets.add(record)
    return record


def test_a_handle_with_one_registry_leaves_the_layouts_of_other_spaces_alone(tmp_path: Path) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, REGISTERED)
    small_atlas.add(atlas, dataset("protein_abundance"))
    opened(tmp_path, "gene_expression").optimize()
    layout = atlas.catalog.layouts.rows(layout_of(atlas, "protein_abundance"))
    assert layout["global_index"].null_count == 3
    check_healthy(atlas, tmp_path)


@pytest.mark.parametrize("indexed_first", [False, True])
def test_handles_with_one_registry_each_give_layouts_of_their_own(tmp_path: Path, indexed_first: bool) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, REGISTERED)
    if indexed_first:
        atlas.optimize()
    for space in REGISTERED:
        small_atlas.add(opened(tmp_path, space), dataset(space))
    assert atlas.list_datasets()["layout_uid"].n_unique() == 2
    check_healthy(atlas, tmp_path)


def test_a_table_that_is_named_like_a_registry_is_none(tmp_path: Path) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, {"gene_expression": UIDS})
    atlas.catalog.lancedb_connection().create_table("samples_registry", pa.table({"uid": UIDS}))
    small_atlas.add(atlas, dataset("gene_expression"))
    assert layout_of(atlas, "gene_expression") == PLAIN
    check_healthy(atlas, tmp_path)


def test_a_stored_layout_with_other_indices_is_a_conflict(tmp_path: Path) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, REGISTERED)
    catalog = atlas.catalog
    for registry in catalog.registries.values():
        registry.reindex()
    genes, proteins = (layout_rows(UIDS, catalog.registry(space))[1] for space in REGISTERED)
    assert catalog.layouts.add_rows(genes)
    assert not catalog.layouts.add_rows(genes)
    with pytest.raises(ConflictError, match=r"for 2 of its 3 features. First 5: \['c', 'b'\].* optimize\(\) repairs"):
        catalog.layouts.add_rows(proteins)


def test_ingest_refuses_a_damaged_layout_before_it_writes(tmp_path: Path) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, {"gene_expression": UIDS})
    small_atlas.add(atlas, dataset("gene_expression"))
    atlas.optimize()
    _spoil(atlas, PLAIN)
    with pytest.raises(ConflictError, match="other global indices than the registry has"):
        small_atlas.add(atlas, dataset("gene_expression", "second"))
    assert not (tmp_path / "zarr_store" / "second").exists()


def _spoil(atlas: hox.RaggedAtlas, layout_uid: str) -> None:
    rows = atlas.catalog.layouts.rows(layout_uid, ["layout_uid", "feature_uid", "local_index", "global_index"])
    wrong = pc.add(rows["global_index"], 1)
    keyed = rows.select(["layout_uid", "feature_uid"]).append_column("global_index", wrong)
    atlas.catalog.layouts.table.update_matching(["layout_uid", "feature_uid"], keyed)


def test_optimize_sets_a_layout_right_that_only_one_space_has(tmp_path: Path) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, REGISTERED)
    small_atlas.add(atlas, dataset("protein_abundance"))
    atlas.optimize()
    before = layout_of(atlas, "protein_abundance")
    assert before != PLAIN
    _spoil(atlas, before)
    with pytest.raises(ValueError, match="global_index other than the registry's"):
        atlas.snapshot()
    check_healthy(atlas, tmp_path)
    assert layout_of(atlas, "protein_abundance") == before


@pytest.mark.parametrize("first", REGISTERED)
def test_optimize_parts_a_layout_that_two_spaces_share(
    tmp_path: Path, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As homeobox 0.2.2 leaves it: both datasets name the layout of the list, with the indices of one registry."""
    atlas = small_atlas.empty_atlas(tmp_path, REGISTERED)
    for space in REGISTERED:
        small_atlas.add(atlas, dataset(space))
    atlas.optimize()
    atlas.catalog.layouts.table.append(layout_rows(UIDS, atlas.catalog.registry(first))[1])
    for row in atlas.catalog.datasets.by_group().values():
        atlas.catalog.datasets.set_layout(row["uid"], PLAIN)
    with pytest.raises(ValueError, match="global_index other than the registry's"):
        atlas.snapshot()
    check_healthy(atlas, tmp_path)
    assert layout_of(atlas, first) == PLAIN
    assert [record.message.count("1 dataset(s) now have layout") for record in caplog.records] == [1]
    atlas.optimize()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("indexed_first", [False, True])
def test_datasets_share_a_layout_whatever_was_registered_in_between(tmp_path: Path, indexed_first: bool) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, {**REGISTERED, "protein_abundance": []})
    small_atlas.add(atlas, dataset("gene_expression", "one"))
    if indexed_first:
        atlas.optimize()
    atlas.register_features("protein_abundance", [small_atlas.Feature(uid=uid) for uid in UIDS])
    small_atlas.add(atlas, dataset("gene_expression", "two"))
    small_atlas.add(atlas, dataset("protein_abundance", "prot"))
    assert layout_of(atlas, "one") == layout_of(atlas, "two") == PLAIN != layout_of(atlas, "prot")
    check_healthy(atlas, tmp_path)


def test_the_frame_of_a_layout_has_the_uid_that_an_atlas_with_other_registries_gives(tmp_path: Path) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, REGISTERED)
    genes, proteins = (atlas.catalog.registry(space) for space in REGISTERED)
    var = pl.DataFrame({"global_feature_uid": UIDS})
    record = add_row(atlas, "", "gene_expression")
    given = atlas.add_or_reuse_layout(var, record.uid, "gene_expression")
    assert hox.build_feature_layout_df(var, genes)[0] == PLAIN != given
    layout_uid, frame = hox.build_feature_layout_df(var, genes.table, others=[proteins.table])
    assert layout_uid == given == frame["layout_uid"][0]
    named = hox.build_feature_layout_df(var, genes.table, feature_space="other", others=[proteins])
    assert named[0] == hox.compute_layout_uid(["", "other", *UIDS])


def test_optimize_completes_the_layout_of_an_ingest_at_work(tmp_path: Path) -> None:
    """Its dataset row has not come yet; its features tell the registry, or its uid where two registries have them."""
    registered = {**REGISTERED, "protein_abundance": [*UIDS, "p", "q"]}
    atlas = small_atlas.empty_atlas(tmp_path, registered)
    catalog = atlas.catalog
    expected = {}
    for space, uids in {"gene_expression": ["aa", "a"], "protein_abundance": ["q", "a"]}.items():
        expected[(space, layout_rows(uids, catalog.registry(space))[0])] = uids
    for space in registered:
        expected[(space, catalog.layout_rows(UIDS, space)[0])] = UIDS
    for (space, layout_uid), uids in expected.items():
        rows = catalog.layout_rows(uids, space)
        assert rows[0] == layout_uid
        catalog.layouts.add_rows(rows[1])
    atlas.optimize()
    for (space, layout_uid), uids in expected.items():
        found = catalog.layouts.read(layout_uid)[1]
        assert found.tolist() == catalog.registry(space).resolve(uids).tolist()


def test_a_layout_planned_before_its_features_were_indexed_is_stored_with_their_indices(tmp_path: Path) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, {"gene_expression": UIDS})
    layout_uid, rows = atlas.catalog.layout_rows(UIDS, "gene_expression")
    atlas.optimize()  # while the ingest writes its arrays
    atlas.catalog.add_layout(rows, "gene_expression")
    assert atlas.catalog.layouts.read(layout_uid)[1].tolist() == [2, 0, 1]
