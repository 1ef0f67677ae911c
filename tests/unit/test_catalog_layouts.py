"""Layouts: building, storing, sharing, completing and checking them."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import small_atlas
from described_dataset import add_described_dataset

import homeobox as hox
from homeobox.catalog import ABSENT, layout_rows
from homeobox.errors import NotFoundError

COLUMNS = ["layout_uid", "feature_uid", "local_index", "global_index"]


@pytest.fixture
def atlas(empty_atlas: hox.RaggedAtlas, gene_class: type) -> hox.RaggedAtlas:
    empty_atlas.register_features("gene_expression", [gene_class(uid=u, gene_symbol=u) for u in "dcba"])
    return empty_atlas


def var(*uids: str | None) -> pl.DataFrame:
    return pl.DataFrame({"global_feature_uid": list(uids)}, schema={"global_feature_uid": pl.String})


def test_a_layout_keeps_the_order_of_var(atlas: hox.RaggedAtlas) -> None:
    registry = atlas.catalog.registry("gene_expression")
    layout_uid, frame = hox.build_feature_layout_df(var("c", "a"), registry)
    assert layout_uid == hox.compute_layout_uid(["c", "a"])
    assert frame.columns == COLUMNS
    assert frame.rows() == [(layout_uid, "c", 0, None), (layout_uid, "a", 1, None)]
    registry.reindex()
    assert hox.build_feature_layout_df(var("c", "a"), registry)[1]["global_index"].to_list() == [2, 0]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"x": ["a"]}), "no column 'global_feature_uid'"),
        (var("a", "b", "a"), "duplicate global_feature_uid .* 3 rows, 2 distinct uids.* First 5: ..a.."),
        (var("a", "nope"), r"1 feature uid\(s\) not found in registry .* First 5: \['nope'\]"),
        (var("a", None), "1 empty global_feature_uid"),
    ],
)
def test_bad_layouts_are_refused(atlas: hox.RaggedAtlas, frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hox.build_feature_layout_df(frame, atlas.catalog.registry("gene_expression"))
    assert atlas.catalog.layouts.table.count() == 0


def test_stored_layouts_are_read_by_local_index(atlas: hox.RaggedAtlas) -> None:
    layouts, registry = atlas.catalog.layouts, atlas.catalog.registry("gene_expression")
    layout_uid, frame = hox.build_feature_layout_df(var("c", "a", "d"), registry)
    table = layouts.table
    assert not hox.layout_exists(table, layout_uid)
    assert hox.read_feature_layout(table, layout_uid).rows() == []
    table.append(frame.reverse().to_arrow().cast(table.schema))
    assert hox.layout_exists(table, layout_uid)
    assert hox.read_feature_layout(table, layout_uid).equals(frame)
    assert hox.read_feature_layout(table, "nope").columns == COLUMNS
    uids, indices = layouts.read(layout_uid)
    assert (uids, indices.tolist(), indices.dtype) == (["c", "a", "d"], [ABSENT] * 3, np.int32)
    with pytest.raises(NotFoundError, match="layout 'nope' is not in table '_feature_layouts'"):
        layouts.read("nope")


def test_equal_orders_share_one_layout(atlas: hox.RaggedAtlas) -> None:
    layouts, registry = atlas.catalog.layouts, atlas.catalog.registry("gene_expression")
    layout_uid, rows = layout_rows(["b", "a"], registry)
    assert layout_uid == hox.compute_layout_uid(["b", "a"])
    assert layouts.add_rows(rows)
    assert not layouts.add_rows(rows)
    assert layouts.table.count() == 2
    assert layouts.add_rows(layout_rows([], registry)[1]) is False


def test_indices_reach_layouts_that_were_there_before(atlas: hox.RaggedAtlas) -> None:
    layouts, registry = atlas.catalog.layouts, atlas.catalog.registry("gene_expression")
    layout_uid, rows = layout_rows(["b", "d"], registry)
    layouts.add_rows(rows)
    assert hox.sync_layouts_global_index(layouts.table, registry) == 0
    registry.reindex()
    assert hox.sync_layouts_global_index(layouts.table, registry) == 2
    assert hox.sync_layouts_global_index(layouts.table, registry) == 0
    assert layouts.read(layout_uid)[1].tolist() == [1, 3]


def test_syncing_nothing(empty_atlas: hox.RaggedAtlas) -> None:
    catalog = empty_atlas.catalog
    assert hox.sync_layouts_global_index(catalog.layouts.table, catalog.registry("gene_expression")) == 0


def test_a_layout_written_twice_at_once_reads_as_one(atlas: hox.RaggedAtlas) -> None:
    layouts, registry = atlas.catalog.layouts, atlas.catalog.registry("gene_expression")
    layout_uid, rows = layout_rows(["c", "a"], registry)
    layouts.table.append(rows)
    layouts.table.append(rows)
    assert layouts.read(layout_uid)[0] == ["c", "a"]
    assert layouts.remove_duplicates() == 2
    assert layouts.table.count() == 2
    assert layouts.remove_duplicates() == 0


def test_a_dataset_row_names_its_layout(atlas: hox.RaggedAtlas) -> None:
    record = hox.DatasetRecord(zarr_group="g", feature_space="gene_expression", n_cells=0)
    atlas.catalog.datasets.add(record)
    layout_uid = atlas.add_or_reuse_layout(var("c", "a"), record.uid, "gene_expression")
    assert atlas.add_or_reuse_layout(var("c", "a"), record.uid, "gene_expression") == layout_uid
    row = atlas.catalog.datasets.by_group()["g"]
    assert (row["layout_uid"], row["created_at"]) == (layout_uid, record.created_at)
    with pytest.raises(NotFoundError, match="no dataset has uid 'nope'"):
        atlas.add_or_reuse_layout(var("c", "a"), "nope", "gene_expression")
    with pytest.raises(ValueError, match="No registry for feature space"):
        atlas.add_or_reuse_layout(var("c", "a"), record.uid, "protein_abundance")


def check(atlas: hox.RaggedAtlas, layout_uid: str, **options: object) -> list[str]:
    return hox.validate_feature_layout(
        atlas.catalog.layouts.table, layout_uid, spec=hox.get_spec("gene_expression"), **options
    )


def test_faults_of_a_layout_are_told(atlas: hox.RaggedAtlas) -> None:
    registry = atlas.catalog.registry("gene_expression")
    layout_uid, rows = layout_rows(["c", "a"], registry)
    atlas.catalog.layouts.add_rows(rows)
    assert check(atlas, layout_uid) == ["2 row(s) have no global_index; run optimize()"]
    atlas.optimize()
    assert check(atlas, layout_uid, registry_table=registry, expected_feature_count=2) == []
    assert check(atlas, layout_uid, expected_feature_count=3) == ["2 rows, expected 3 features"]
    assert check(atlas, "nope", expected_feature_count=3) == ["0 rows, expected 3 features"]
    assert check(atlas, "nope") == []
    strange = pa.table(
        {"layout_uid": ["s"] * 3, "feature_uid": ["x", "a", "a"], "local_index": [0, 1, 2], "global_index": [9, 0, 0]}
    )
    atlas.catalog.layouts.table.append(strange.cast(rows.schema))
    assert check(atlas, "s", registry_table=registry) == [
        "1 duplicate feature_uid value(s)",
        "1 feature uid(s) not found in registry. First 5: ['x']",
    ]


def test_a_dense_group_says_how_many_features_there_are(atlas: hox.RaggedAtlas) -> None:
    class Dense:
        def array_names(self, path: str) -> list[str]:
            return ["counts"]

        def array(self, path: str) -> tuple[tuple[int, int], str]:
            return (5, 3), "f"

    faults = hox.validate_feature_layout(
        atlas.catalog.layouts.table, "nope", spec=hox.get_spec("protein_abundance"), group=Dense()
    )
    assert faults == ["0 rows, expected 3 features"]


def test_datasets_are_found_by_their_features(atlas: hox.RaggedAtlas) -> None:
    for group, genes in (("one", ["a", "b"]), ("two", ["b", "c"]), ("three", ["a", "b"])):
        add_described_dataset(atlas, group, genes, 1)
    found = atlas.find_datasets_with_features(["a", "c", "a"], "gene_expression")
    assert found.columns == ["zarr_group", "global_feature_uid", "uid", "feature_space", "n_cells", "created_at"]
    pairs = list(zip(found["zarr_group"], found["global_feature_uid"], strict=True))
    assert pairs == [("one", "a"), ("two", "c"), ("three", "a")]
    assert atlas.find_datasets_with_features("b", "gene_expression").height == 3
    for nothing in (
        atlas.find_datasets_with_features("d", "gene_expression"),
        atlas.find_datasets_with_features([], "x"),
    ):
        assert nothing.height == 0
        assert nothing.columns[:2] == ["zarr_group", "global_feature_uid"]


@pytest.mark.parametrize("indexed_first", [False, True])
def test_two_feature_spaces_with_the_same_features_and_other_indices(tmp_path, indexed_first: bool) -> None:
    uids = ["c", "a", "b"]
    folder = tmp_path / "atlas"
    atlas = small_atlas.empty_atlas(folder, {"gene_expression": ["a", "aa", "b", "c"], "protein_abundance": uids})
    if indexed_first:
        atlas.optimize()
    obs = pd.DataFrame({"label": ["x", "y"]})
    counts = np.array([[1, 0, 2], [0, 4, 3]], dtype=np.float32)
    genes = small_atlas.Dataset("rna", sp.csr_matrix(counts), uids, obs)
    proteins = small_atlas.Dataset("prot", counts + 10, uids, obs, space="protein_abundance")
    for dataset in (genes, proteins):
        small_atlas.add(atlas, dataset)
    snapshot = small_atlas.checked_out(atlas, folder)
    assert snapshot.validate(deep=True) == []
    # The two datasets have cells of their own.
    for dataset, rows in ((genes, slice(0, 2)), (proteins, slice(2, 4))):
        cells = snapshot.query().offset(rows.start).limit(2)
        found = cells.feature_spaces(dataset.space).to_anndata()[:, uids].X
        expected = dataset.matrix
        assert np.array_equal(*(m.toarray() if sp.issparse(m) else np.asarray(m) for m in (found, expected)))
    layouts = snapshot.list_datasets()["layout_uid"]
    assert layouts.n_unique() == 2


def test_a_feature_space_of_its_own_features_shares_layouts(tmp_path) -> None:
    atlas = small_atlas.empty_atlas(tmp_path, {"gene_expression": ["a", "b", "c"], "protein_abundance": ["a", "b"]})
    obs = pd.DataFrame({"label": ["x"]})
    for group in ("one", "two"):
        matrix = sp.csr_matrix(np.array([[1, 2, 3]], dtype=np.float32))
        small_atlas.add(atlas, small_atlas.Dataset(group, matrix, ["c", "b", "a"], obs))
    assert atlas.list_datasets()["layout_uid"].to_list() == [hox.compute_layout_uid(["c", "b", "a"])] * 2
