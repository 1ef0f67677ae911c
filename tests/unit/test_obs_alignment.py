"""obs in the form of a schema, and cells whose schema class is narrower than the table."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from small_atlas import Dataset, Feature, add, checked_out, empty_atlas

import homeobox as hox
from homeobox.schema import PointerFieldInfo, PointerKind, SparseZarrPointer, column, pointer_fields


class Donor(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    tissue: str
    age: int | None = None
    note: str = "none"
    stage: str | None = column(source="time.point")


def source(**columns) -> anndata.AnnData:
    obs = pd.DataFrame(columns)
    return anndata.AnnData(np.ones((len(obs), 2), "float32"), obs=obs.set_axis([f"c{i}" for i in range(len(obs))]))


def test_required_columns():
    obs = source(organ=["lung"], other=[1]).obs
    assert hox.validate_obs_columns(obs, Donor) == ["Missing required column 'tissue'"]
    assert hox.validate_obs_columns(obs, Donor, {"organ": "tissue"}) == []
    with pytest.raises(ValueError, match=r"obs_to_schema names column\(s\) \['organs'\]"):
        hox.validate_obs_columns(obs, Donor, {"organs": "tissue"})


def test_alignment():
    adata = source(organ=["lung", "skin"], other=[1, 2], **{"time.point": ["a", "b"]})
    aligned = hox.align_obs_to_schema(adata, Donor, obs_to_schema={"organ": "tissue"})
    assert list(aligned.obs.columns) == ["tissue", "age", "note", "stage"]
    assert aligned.obs["tissue"].tolist() == ["lung", "skin"]
    assert aligned.obs["age"].tolist() == [None, None]
    assert aligned.obs["note"].tolist() == ["none", "none"]
    assert aligned.obs["stage"].tolist() == ["a", "b"]
    assert list(adata.obs.columns) == ["organ", "other", "time.point"]
    with pytest.raises(ValueError, match="Cannot align obs to schema: Missing required column 'tissue'"):
        hox.align_obs_to_schema(adata, Donor, inplace=True)
    assert list(adata.obs.columns) == ["organ", "other", "time.point"]
    assert hox.align_obs_to_schema(adata, Donor, obs_to_schema={"organ": "tissue"}, inplace=True) is adata
    assert "tissue" in adata.obs


def test_a_pointer_field_says_what_022_calls_it():
    (field,) = pointer_fields(Donor).values()
    assert isinstance(field, PointerFieldInfo)
    assert (field.field_name, field.feature_space) == ("gene_expression", "gene_expression")
    assert (field.pointer_kind, field.pointer_type) == (PointerKind.SPARSE, SparseZarrPointer)


class Narrow(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None


def test_a_class_narrower_than_the_table(tmp_path):
    empty_atlas(tmp_path, {"gene_expression": ["a", "b"], "protein_abundance": ["p"]})
    atlas = hox.RaggedAtlas.open(tmp_path, "cells", Narrow)
    obs = pd.DataFrame({"number": [1, 2], "protein_abundance": ["x", "y"]})
    with pytest.warns(UserWarning, match=r"obs column\(s\) \['protein_abundance'\] are not in the cell table"):
        add(atlas, Dataset("g", np.ones((2, 2), "float32"), ["a", "b"], obs))
    pinned = checked_out(atlas, tmp_path)
    rows = pinned.catalog.scan_cells().to_pylist()
    absent = {"feature_space": "", "zarr_group": "", "position": 0}
    assert [row["protein_abundance"] for row in rows] == [absent, absent]
    assert [(row["label"], row["number"]) for row in rows] == [(None, 1), (None, 2)]


def test_uids_that_would_make_layouts_equal_are_refused(tmp_path):
    atlas = empty_atlas(tmp_path, {"gene_expression": []})
    with pytest.raises(ValueError, match="a uid with a NUL character"):
        atlas.register_features("gene_expression", [Feature(uid="a\0b")])


def test_frames_of_features_keep_their_types(tmp_path):
    import polars as pl

    atlas = empty_atlas(tmp_path, {"gene_expression": []})
    for frame in (
        pl.DataFrame({"uid": [1, 2], "symbol": ["A", "B"]}),
        pl.DataFrame({"uid": ["1", "2"], "symbol": [1.5, 2.0]}),
    ):
        with pytest.raises(ValueError, match="must be string, found"):
            atlas.register_features("gene_expression", frame)
    named = pl.DataFrame({"uid": ["1", "2"], "symbol": pl.Series(["A", "B"], dtype=pl.Categorical)})
    assert atlas.register_features("gene_expression", named) == 2
