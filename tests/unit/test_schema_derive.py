"""Schema classes derived from frames: which field a column becomes, and what the field remembers."""

from __future__ import annotations

import datetime
import warnings

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_atlas import Feature

import homeobox as hox
from homeobox.catalog import to_arrow_schema
from homeobox.errors import InvalidArgumentError
from homeobox.query.frame_columns import to_series
from homeobox.schema import ColumnInfo, DenseZarrPointer, SparseZarrPointer, Vector, column


def source(obs: pd.DataFrame, **parts) -> anndata.AnnData:
    return anndata.AnnData(obs=obs.set_axis([f"c{i}" for i in range(len(obs))]), **parts)


def derived(values: object, **options) -> pa.Field:
    adata = source(pd.DataFrame({"column": values}))
    return to_arrow_schema(hox.HoxBaseSchema.from_anndata(adata, **options)).field("column")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1, 2], "int8"), pa.int64()),
        (np.array([1, 2], "uint32"), pa.int64()),
        (pd.array([1, None], "Int32"), pa.int64()),
        (np.array([1.5, np.nan], "float32"), pa.float64()),
        (pd.array([1.5, None], "Float64"), pa.float64()),
        ([True, False], pa.bool_()),
        (pd.array([True, None], "boolean"), pa.bool_()),
        ([True, None], pa.bool_()),
        (["a", "b"], pa.string()),
        (["a", None], pa.string()),
        (pd.array(["a", None], "string"), pa.string()),
        ([None, None], pa.string()),
        (pd.to_datetime(["2020-01-01", None]), pa.timestamp("us")),
        (pd.to_datetime(["2020-01-01", None]).tz_localize("Europe/Berlin"), pa.timestamp("us", "Europe/Berlin")),
        ([datetime.date(2020, 1, 1), None], pa.date32()),
        ([datetime.datetime(2020, 1, 1, 5, tzinfo=datetime.UTC)], pa.timestamp("us")),
        ([b"a", None], pa.binary()),
        ([["a"], None], pa.list_(pa.string())),
        ([[1, 2], []], pa.list_(pa.int64())),
        ([np.array([1.5])], pa.list_(pa.float64())),
        (pd.Categorical(["a", None]), pa.string()),
        (pd.Categorical([3, 1]), pa.int64()),
        (pd.Categorical([True, False]), pa.bool_()),
        (pd.Categorical(pd.to_datetime(["2020-01-01"])), pa.timestamp("us")),
    ],
)
def test_types(values, expected):
    field = derived(values)
    if isinstance(values, list) and getattr(values[0], "tzinfo", None):
        expected = pa.timestamp("us", "UTC")
    assert field.type == expected
    assert field.nullable


@pytest.mark.parametrize("values", [np.array([1, 2], "int32"), np.array([1.5, np.nan], "float32"), [7, 8], [1.5, 2.5]])
@pytest.mark.parametrize("column_of", [np.asarray, pd.array])
def test_numbers_come_back_as_wide_as_they_were(tmp_path, values, column_of):
    values = pd.Series(column_of(values))
    adata = source(pd.DataFrame({"column": values}), X=np.ones((2, 1), np.float32))
    schema = hox.HoxBaseSchema.from_anndata(adata)
    atlas = hox.create_or_open_atlas(
        tmp_path, "cells", schema, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Feature}
    )
    atlas.register_features("gene_expression", [Feature(uid="a")])

    def add(group: str, source: anndata.AnnData) -> pd.Series:
        source.var["global_feature_uid"] = ["a"]
        record = hox.DatasetRecord(zarr_group=group, feature_space="gene_expression", n_cells=2)
        hox.add_from_anndata(atlas, source, feature_space="gene_expression", zarr_layer="counts", dataset_record=record)
        atlas.optimize()
        atlas.snapshot()
        return hox.RaggedAtlas.checkout_latest(tmp_path).query().to_anndata().obs["column"]

    found = add("first", adata)
    assert found.dtype == str(values.dtype).lower()
    np.testing.assert_array_equal(found.to_numpy(), values.to_numpy(found.dtype))
    # What another dataset has may need more than that, and nothing is rounded.
    wide = [2**40 + 1, 2**40 + 3] if found.dtype.kind == "i" else [1 / 3, 0.25]
    found = add("second", source(pd.DataFrame({"column": wide}), X=np.ones((2, 1), np.float32)))
    assert found.dtype == ("int64" if found.dtype.kind == "i" else "float64")
    assert set(wide) <= set(found)


def test_widths_that_are_none_are_refused():
    with pytest.raises(InvalidArgumentError, match="dtype 'int64' is unknown"):
        column(dtype="int64")


@pytest.mark.parametrize("values", [pd.to_timedelta([1, 2]), ["a", 1], [object(), None], np.array([1j, 2])])
def test_what_no_table_holds_is_named(values):
    adata = source(pd.DataFrame({"column": values, "kept": [1] * len(values)}))
    with pytest.warns(UserWarning, match="obs column.*'column'.*are left out"):
        schema = hox.HoxBaseSchema.from_anndata(adata)
    assert "column" not in schema.model_fields
    assert "kept" in schema.model_fields


def test_categories_and_their_order_are_recorded():
    ordered = derived(pd.Categorical(["b", None], categories=["b", "a"], ordered=True))
    assert ColumnInfo.of_metadata(ordered.metadata) == ColumnInfo(True, ["b", "a"], ordered=True)
    numbers = derived(pd.Categorical([3, 1]))
    assert ColumnInfo.of_metadata(numbers.metadata).categories == [1, 3]
    many = derived(pd.Categorical([f"v{i}" for i in range(5000)]))
    assert ColumnInfo.of_metadata(many.metadata) == ColumnInfo(is_categorical=True)


def test_names_that_a_table_cannot_have():
    names = ["n.umi", "1st", "copy", "class", "uid", "a/b", "a b", "A_B", "_x", "déjà", "gene_expression"]
    schema = hox.HoxBaseSchema.from_anndata(source(pd.DataFrame({name: [1] for name in names})))
    sources = {name: ColumnInfo.of_field(info).source for name, info in schema.model_fields.items()}
    assert sources == {
        "uid": None,
        "dataset_uid": None,
        "gene_expression": None,
        "n_umi": "n.umi",
        "x1st": "1st",
        "copy_": "copy",
        "class_": "class",
        "uid_": "uid",
        "a_b": "a/b",
        "a_b_2": "a b",
        "A_B_3": "A_B",
        "x": "_x",
        "d_j_": "déjà",
        "gene_expression_2": "gene_expression",
    }


def test_pointers_and_own_fields():
    class Base(hox.HoxBaseSchema):
        protein_abundance: DenseZarrPointer | None = None
        donor: str | None = column(categories=True)

    adata = source(pd.DataFrame({"donor": ["d"], "age": [3]}))
    schema = Base.from_anndata(adata, name="Mine", pointers={"gene_expression": SparseZarrPointer})
    assert schema.__name__ == "Mine"
    assert issubclass(schema, Base)
    assert set(
        hox.HoxBaseSchema.from_anndata(adata, pointers={"protein_abundance": DenseZarrPointer}).model_fields
    ) == {
        "uid",
        "dataset_uid",
        "protein_abundance",
        "donor",
        "age",
    }
    assert list(Base.from_anndata(adata).model_fields) == ["uid", "dataset_uid", "protein_abundance", "donor", "age"]
    assert ColumnInfo.of_field(schema.model_fields["donor"]) == ColumnInfo(is_categorical=True)


def test_obs_names():
    adata = source(pd.DataFrame({"barcode": ["c0", "c1"], "other": ["x", "y"]}))
    schema = hox.HoxBaseSchema.from_anndata(adata, obs_names="barcode")
    assert ColumnInfo.of_field(schema.model_fields["barcode"]).obs_names
    with pytest.raises(InvalidArgumentError, match="obs_names='other'"):
        hox.HoxBaseSchema.from_anndata(adata, obs_names="other")


def test_obsm():
    adata = source(
        pd.DataFrame({"pca": [1, 2]}),
        obsm={
            "X_pca": np.ones((2, 3), "float32"),
            "counts": np.ones((2, 1), "int16"),
            "layout": np.ones((2, 1)),
            "names": np.array([["a"], ["b"]]),
        },
    )
    schema = to_arrow_schema(hox.HoxBaseSchema.from_anndata(adata, obsm=True))
    assert schema.names[3:] == ["pca", "X_pca", "counts"]
    assert schema.field("X_pca").type == pa.list_(pa.float32(), 3)
    assert schema.field("counts").type == pa.list_(pa.int16(), 1)
    named = to_arrow_schema(hox.HoxBaseSchema.from_anndata(adata, obsm={"X_pca": "pca"}))
    assert ColumnInfo.of_metadata(named.field("pca_2").metadata).obsm == "X_pca"
    for wanted, message in [(["X_umap"], "has no 'X_umap'"), (["names"], "cannot be a vector"), (["layout"], "cannot")]:
        with pytest.raises(InvalidArgumentError, match=message):
            hox.HoxBaseSchema.from_anndata(adata, obsm=wanted)


def test_features():
    var = pd.DataFrame(
        {
            "gene_ids": ["E1", "E2", "E3"],
            "kind": pd.Categorical(["x", None, "y"]),
            "n.cells": np.array([1, 2, 3], "int32"),
            "variable": pd.array([True, None, False], "boolean"),
            "global_feature_uid": ["E1", "E2", "E3"],
        },
        index=["a", "b", "c"],
    )
    gene = hox.FeatureBaseSchema.from_var(var, uid="gene_ids", name="Gene")
    assert list(gene.model_fields) == ["uid", "global_index", "kind", "n_cells", "variable"]
    rows = [feature.model_dump() for feature in gene.features_from_var(var)]
    assert rows[1] == {"uid": "E2", "global_index": None, "kind": None, "n_cells": 2, "variable": None}
    by_name = hox.FeatureBaseSchema.from_var(var)
    assert [feature.uid for feature in by_name.features_from_var(var)] == ["a", "b", "c"]
    assert by_name.features_from_var(var)[0].gene_ids == "E1"
    both = hox.FeatureBaseSchema.from_var(var, uid="gene_ids", var_names="symbol")
    assert [(feature.uid, feature.symbol) for feature in both.features_from_var(var)][:2] == [("E1", "a"), ("E2", "b")]
    again = var.assign(symbol=["a", "b", "c"])
    assert both.features_from_var(again) == both.features_from_var(var)
    assert list(hox.FeatureBaseSchema.from_var(again, uid="gene_ids", var_names="symbol").model_fields) == list(
        both.model_fields
    )


@pytest.mark.parametrize(
    ("dtype", "field", "values"),
    [("float32", int | None, [2**53 + 1, None]), ("float32", int | None, [1, 2]), ("int8", float | None, [1.5, None])],
)
def test_a_width_of_another_kind_rounds_nothing(dtype, field, values):
    class Cell(hox.HoxBaseSchema):
        gene_expression: SparseZarrPointer | None = None
        number: field = hox.column(dtype=dtype)  # type: ignore[valid-type]

    arrow = to_arrow_schema(Cell).field("number")
    found = to_series(pa.chunked_array([pa.array(values, arrow.type)]), arrow)
    assert found.astype(object).where(found.notna(), None).tolist() == values


def test_numbered_features_have_names(tmp_path):
    var = pd.DataFrame({"id": ["E1", "E2"]})
    gene = hox.FeatureBaseSchema.from_var(var, uid="id", var_names="symbol")
    assert [feature.symbol for feature in gene.features_from_var(var)] == ["0", "1"]


def test_features_that_cannot_be():
    var = pd.DataFrame({"gene_ids": ["E1", None]}, index=["a", "b"])
    with pytest.raises(InvalidArgumentError, match="var has no column 'ids'"):
        hox.FeatureBaseSchema.from_var(var, uid="ids")
    with pytest.raises(InvalidArgumentError, match="var_names='gene_ids': var has a column of this name whose values"):
        hox.FeatureBaseSchema.from_var(var, var_names="gene_ids")
    with pytest.raises(InvalidArgumentError, match="var_names='uid': FeatureBaseSchema has a column of this name"):
        hox.FeatureBaseSchema.from_var(var, var_names="uid")
    with pytest.raises(InvalidArgumentError, match="uids of features must be text"):
        hox.FeatureBaseSchema.from_var(var, uid="gene_ids").features_from_var(var)

    class Gene(hox.FeatureBaseSchema):
        symbol: str

    with pytest.raises(InvalidArgumentError, match="var has no column 'symbol', which Gene requires"):
        Gene.features_from_var(var)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: column(categories=["a", "a"]), "must be distinct"),
        (lambda: column(ordered=True), "needs the categories"),
        (lambda: column(obsm="layout"), "choose another name"),
        (lambda: Vector(0), "1 or more numbers"),
        (lambda: Vector(2, "text"), "value_type must be one of"),
    ],
)
def test_declarations_that_cannot_be(make, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make()


def test_vectors_are_checked_by_their_class():
    class Cell(hox.HoxBaseSchema):
        gene_expression: SparseZarrPointer | None = None
        embedding: Vector(2) | None = None

    pointer = SparseZarrPointer(feature_space="gene_expression", zarr_group="g", start=0, end=1, zarr_row=0)
    assert Cell(gene_expression=pointer, embedding=[1, 2]).embedding == [1.0, 2.0]
    with pytest.raises(ValueError, match="at most 2 items"):
        Cell(gene_expression=pointer, embedding=[1, 2, 3])
    assert to_arrow_schema(Cell).field("embedding") == pa.field("embedding", pa.list_(pa.float32(), 2))


def test_a_plain_class_records_nothing():
    with warnings.catch_warnings(action="error"):
        schema = hox.HoxBaseSchema.from_anndata(source(pd.DataFrame({"a": [1], "b": ["x"]})))
    assert all(field.metadata is None for field in to_arrow_schema(schema))
