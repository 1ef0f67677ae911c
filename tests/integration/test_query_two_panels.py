"""Two real datasets with different gene panels in one atlas: joins and filters equal SciPy on the sources."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.datasets import pbmc3k, pbmc_facs


@pytest.fixture(scope="module")
def sources():
    pbmc, facs = pbmc3k(), pbmc_facs()
    return [
        Dataset(
            "pbmc3k",
            pbmc.X,
            pbmc.var["gene_ids"].tolist(),
            pd.DataFrame({"label": pbmc.obs["louvain"].to_numpy(), "number": range(pbmc.n_obs)}),
        ),
        Dataset(
            "sorted/facs",
            facs.X,
            facs.var_names.tolist(),
            pd.DataFrame({"label": facs.obs["celltype"].to_numpy(), "number": range(facs.n_obs)}),
        ),
    ]


@pytest.fixture(scope="module")
def atlas(sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_panels")
    uids = list(dict.fromkeys(uid for source in sources for uid in source.uids))
    writable = empty_atlas(folder, {"gene_expression": uids})
    for source in sources:
        add(writable, source)
    return checked_out(writable, folder)


def columns_of(source: Dataset, wanted: pd.Index) -> sp.csr_matrix:
    """The source's matrix with `wanted` as its columns; those it lacks are empty."""
    place = pd.Index(source.uids).get_indexer(wanted)
    selector = sp.csr_matrix(
        (np.ones((place >= 0).sum(), dtype=np.int8), (place[place >= 0], np.flatnonzero(place >= 0))),
        shape=(len(source.uids), len(wanted)),
    )
    return sp.csr_matrix(source.matrix @ selector)


def assert_equal(found: sp.csr_matrix, expected: sp.csr_matrix) -> None:
    assert found.shape == expected.shape
    assert (found != expected).nnz == 0


def test_union_of_everything(atlas, sources):
    result = atlas.query().to_anndata()
    assert set(result.var_names) == {uid for source in sources for uid in source.uids}
    assert_equal(result.X, sp.vstack([columns_of(source, result.var_names) for source in sources]))
    assert result.X.dtype == np.result_type(np.float32, np.int32)
    assert result.obs["number"].tolist() == [*range(2700), *range(3774)]
    for column, source in enumerate(sources):
        first = 2700 * column
        layout = result.obsm["layout"][first, 0]
        np.testing.assert_array_equal(result.varm["measured"][:, layout], result.var_names.isin(source.uids))


def test_intersection_of_everything(atlas, sources):
    result = atlas.query().feature_join("intersection").to_anndata()
    assert set(result.var_names) == set(sources[0].uids) & set(sources[1].uids)
    assert_equal(result.X, sp.vstack([columns_of(source, result.var_names) for source in sources]))
    assert result.varm["measured"].all()


def test_rows_are_in_query_order_across_groups(atlas, sources):
    """Every seventh cell of both datasets: rows follow the cell table, not the groups."""
    query = atlas.query().where("number % 7 = 3").offset(100).limit(600)
    result = query.to_anndata()
    assert result.obs_names.tolist() == query.to_polars()["uid"].to_list()
    rows = [(i, row) for i, source in enumerate(sources) for row in range(3, source.matrix.shape[0], 7)][100:700]
    matrices = [columns_of(source, result.var_names) for source in sources]
    expected = sp.vstack([matrices[i][row] for i, row in rows])
    assert_equal(result.X, expected)


def test_filter_of_features_that_not_every_panel_has(atlas, sources):
    only_first = sorted(set(sources[0].uids) - set(sources[1].uids))[:2]
    asked = [sources[1].uids[100], *only_first, sources[0].uids[500], sources[1].uids[100]]
    for join in ("union", "intersection"):
        result = atlas.query().feature_join(join).features(asked, "gene_expression").to_anndata()
        assert set(result.var_names) == set(asked)
        assert result.n_vars == len(set(asked))
        assert result.var["global_index"].is_monotonic_increasing
        assert_equal(result.X, sp.vstack([columns_of(source, result.var_names) for source in sources]))


def test_one_cell_type(atlas, sources):
    result = atlas.query().where("label = 'B cells'").to_anndata()
    chosen = (sources[0].obs["label"] == "B cells").to_numpy()
    assert result.n_obs == chosen.sum() == 342
    assert set(result.var_names) == set(sources[0].uids)
    assert_equal(result.X, columns_of(sources[0], result.var_names)[chosen])


def test_counts_by_column(atlas, sources):
    labels = pd.concat([source.obs["label"] for source in sources])
    expected = labels.value_counts(dropna=False)
    counted = atlas.query().count(group_by="label")
    assert counted.columns == ["label", "count"]
    assert {row["label"]: row["count"] for row in counted.to_dicts()} == {
        (None if pd.isna(label) else label): n for label, n in expected.items()
    }
    assert counted["label"].to_list()[1:] == sorted(counted["label"].to_list()[1:])
    assert atlas.query().where("number < 10").count() == 20
    two = atlas.query().where("number < 1").count(group_by=["dataset_uid", "label"])
    assert two.columns == ["dataset_uid", "label", "count"]
    assert two["count"].to_list() == [1, 1]


def test_a_few_cells_of_a_warm_atlas_cost_two_requests(atlas):
    """One for indices, one for values; opened groups, shard indexes and feature orders are kept."""
    folder = atlas.catalog.location.root
    fresh = hox.RaggedAtlas.checkout_latest(folder)
    store = _core.CountingStore(fresh.catalog.store)
    fresh.catalog.store = store
    fresh.query().limit(1).to_anndata()
    store.reset()
    fresh.query().offset(1000).limit(5).to_anndata()
    assert store.requests == 2
    assert store.bytes_read < 25_000  # one chunk of each array


@pytest.mark.parametrize(("limit", "offset", "n"), [(0, 0, 0), (10, 0, 10), (10_000, 6470, 4), (5, 9999, 0)])
def test_limit_and_offset(atlas, limit, offset, n):
    query = atlas.query().limit(limit).offset(offset)
    assert query.count() == n
    assert query.to_polars().height == n
    assert query.to_anndata().n_obs == n
    assert query.count(group_by="label")["count"].sum() == n
