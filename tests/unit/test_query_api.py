"""The fluent query: what each builder takes and refuses, what the answers look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, checked_out, empty_atlas

from homeobox.errors import HomeoboxError, NotFoundError
from homeobox.query.obs_frame import obs_frame

GENES = [f"gene{i}" for i in range(5)]
PROTEINS = ["p0", "p1", "p2"]


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(1)
    obs = pd.DataFrame({"label": ["b", "a", None], "number": [3, 1, 2]})
    return [
        Dataset("rna", sp.csr_matrix(rng.integers(0, 3, (3, 4)).astype(np.int32)), GENES[:4], obs),
        Dataset("protein", rng.exponential(size=(3, 2)), ["p2", "p0"], obs, space="protein_abundance"),
        Dataset("protein2", sp.csc_matrix([[0, 7], [8, 0]]), ["p1", "p2"], obs[:2], space="protein_abundance"),
    ]


@pytest.fixture(scope="module")
def atlas(sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    writable = empty_atlas(folder, {"gene_expression": GENES, "protein_abundance": PROTEINS})
    for source in sources:
        add(writable, source)
    return checked_out(writable, folder)


def test_dense_layers_follow_their_layouts(atlas, sources):
    result = atlas.query().offset(3).to_anndata()
    assert isinstance(result.X, np.ndarray)
    assert result.X.dtype == np.float32
    assert set(result.var_names) == set(PROTEINS)
    frame = pd.DataFrame(result.X, columns=result.var_names)
    np.testing.assert_array_equal(frame[["p2", "p0"]][:3], sources[1].matrix.astype(np.float32))
    np.testing.assert_array_equal(frame["p1"], [0, 0, 0, 0, 8])
    np.testing.assert_array_equal(frame["p2"][3:], [7, 0])
    unmeasured = ~result.varm["measured"][:, result.obsm["layout"][:, 0]].T
    assert dict(zip(result.var_names, unmeasured[0], strict=True)) == {"p0": False, "p1": True, "p2": False}


def test_cells_without_the_modality_are_left_out_with_a_warning(atlas):
    with pytest.warns(UserWarning, match="5 of 8 cells have no 'gene_expression' data and are left out"):
        result = atlas.query().to_anndata()
    assert result.n_obs == 3
    with pytest.warns(UserWarning, match="1 of 3 cells have no 'gene_expression'"):
        assert atlas.query().offset(1).limit(3).to_anndata().obs["number"].tolist() == [1, 2]


def test_the_first_modality_that_has_data_is_read(atlas):
    result = atlas.query().offset(3).to_anndata()
    assert result.n_obs == 5
    assert set(result.var_names) == set(PROTEINS)


def test_obs_columns_and_their_selection(atlas):
    result = atlas.query().limit(3).to_anndata()
    assert list(result.obs.columns) == ["dataset_uid", "label", "number"]
    assert result.obs.index.name == "uid"
    assert result.obs["label"].tolist() == ["b", "a", None]
    chosen = atlas.query().limit(3).select(["number", "uid"]).to_anndata()
    assert list(chosen.obs.columns) == ["number"]
    assert chosen.obs_names.tolist() == result.obs_names.tolist()
    assert atlas.query().limit(3).select(["number"]).to_anndata().obs_names.tolist() == ["0", "1", "2"]
    assert atlas.query().select(["label"]).to_polars().columns == ["label"]
    assert atlas.query().to_polars().columns == ["uid", "dataset_uid", "label", "number"]


def test_nothing_selected_and_no_columns(atlas):
    nothing = atlas.query().where("number > 99").to_anndata()
    assert nothing.shape == (0, 0)
    assert list(nothing.obs.columns) == ["dataset_uid", "label", "number"]
    without = atlas.query().limit(3).features([], "gene_expression").to_anndata()
    assert without.shape == (3, 0)
    assert without.X is None


def test_a_later_call_replaces_an_earlier_one(atlas):
    query = atlas.query().where("number = 1").limit(1).where("number = 3").limit(2)
    assert query.count() == 2
    assert query.to_polars()["number"].to_list() == [3, 3]


def test_layers(atlas):
    query = atlas.query().limit(3).layers("gene_expression", ["counts"])
    assert query.to_anndata().n_obs == 3
    with pytest.raises(NotFoundError, match="rna/csr/layers/tpm"):
        atlas.query().limit(3).layers("gene_expression", ["tpm"]).to_anndata()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda q: q.limit(-1), "limit must not be negative, found -1"),
        (lambda q: q.offset(-2), "offset must not be negative, found -2"),
        (lambda q: q.limit(2.5), "limit must be a whole number, found 2.5"),
        (lambda q: q.select("number"), "Columns must be a list, found 'number'"),
        (lambda q: q.select(["numbr"]), r"unknown column\(s\) \['numbr'\]; the cell table has \['uid', "),
        (lambda q: q.where(""), "where needs an SQL condition"),
        (lambda q: q.where("numbr = 1").count(), "numbr"),
        (lambda q: q.where("number = ").to_polars(), "cell"),
        (lambda q: q.feature_spaces("smell"), r"Unknown feature space\(s\) \['smell'\]"),
        (lambda q: q.layers("smell", ["counts"]), r"Unknown feature space\(s\) \['smell'\]"),
        (lambda q: q.layers("gene_expression", []), "name at least one"),
        (lambda q: q.features("CD3D", "gene_expression"), "features must be a list, found 'CD3D'"),
        (lambda q: q.limit(3).features(["CD3D"], "gene_expression").to_anndata(), "not found in registry.*CD3D"),
        (lambda q: q.feature_join("outer"), "feature_join must be one of"),
        (lambda q: q.count(group_by=[]), "at least one column"),
        (lambda q: q.count(group_by="celltype"), r"unknown column\(s\) \['celltype'\]"),
        (lambda q: q.count(group_by="gene_expression"), "hold structs"),
    ],
)
def test_refusals(atlas, call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call(atlas.query().feature_spaces("gene_expression"))
    assert isinstance(raised.value, HomeoboxError)


def test_a_query_shows_what_it_asks(atlas):
    query = atlas.query().where("a < 'b'").limit(3).features(GENES, "gene_expression").feature_join("intersection")
    text = repr(query)
    assert text.startswith("AtlasQuery(")
    assert text.endswith(
        """.where("a < 'b'").limit(3).features(['gene0', 'gene1', 'gene2', ... 5 in all], 'gene_expression')"""
        ".feature_join('intersection')"
    )
    assert "&lt; &#x27;b" in query._repr_html_()
    assert "all cells" in atlas.query()._repr_html_()


def test_answers_can_be_changed_and_written(atlas, tmp_path):
    result = atlas.query().limit(3).to_anndata()
    result.X.data[:] = 9
    result.obs["new"] = 1
    result.obs.loc[result.obs_names[0], "number"] = 7
    result.obs["number"].to_numpy()[1] = 8
    result.var.loc[:, "symbol"] = "changed"
    again = atlas.query().limit(3).to_anndata()
    assert "changed" not in set(again.var["symbol"])
    assert again.X.max() < 9
    result.write_h5ad(tmp_path / "result.h5ad")


def test_missing_values_stay_exact():
    table = pa.table(
        {
            "n": [2**53 + 1, None],
            "flag": pa.array([True, None]),
            "whole": pa.array([1, 2], pa.int32()),
            "uid": ["a", "b"],
        }
    )
    frame = obs_frame(table)
    assert frame["n"].dtype == "Int64"
    assert frame["n"].iloc[0] == 2**53 + 1
    assert frame["n"].isna().tolist() == [False, True]
    assert frame["flag"].dtype == "boolean"
    frame["whole"].to_numpy()[:] = 9
    frame.loc["a", "n"] = 4
    assert table["whole"].to_pylist() == [1, 2]


def test_naming_features_or_layers_chooses_the_modality(atlas):
    for query in (
        atlas.query().features(["p2"], "protein_abundance"),
        atlas.query().layers("protein_abundance", ["counts"]),
    ):
        with pytest.warns(UserWarning, match="3 of 8 cells have no 'protein_abundance'"):
            assert "p2" in query.to_anndata().var_names
    with pytest.raises(ValueError, match=r"layers of \['protein_abundance'\] were asked for"):
        atlas.query().feature_spaces("gene_expression").features(["p2"], "protein_abundance").to_anndata()


def test_no_columns_still_leaves_out_cells_without_the_modality(atlas):
    with pytest.warns(UserWarning, match="are left out"):
        assert atlas.query().features([], "gene_expression").to_anndata().shape == (3, 0)
