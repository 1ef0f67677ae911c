"""obs of any types and missing values: into an atlas by a derived schema, out by a query, into a file and back."""

from __future__ import annotations

import datetime
import json
import tempfile
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import homeobox as hox

N = 5
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
MICROSECONDS = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2250, 1, 1))


def rows(values: st.SearchStrategy, missing: object = None) -> st.SearchStrategy[list]:
    return st.lists(st.one_of(values, st.just(missing)), min_size=N, max_size=N)


def full(values: st.SearchStrategy) -> st.SearchStrategy[list]:
    return st.lists(values, min_size=N, max_size=N)


@st.composite
def categoricals(draw) -> pd.Categorical:
    kind = draw(st.sampled_from([TEXT, st.integers(-(2**40), 2**40), st.booleans()]))
    categories = draw(st.lists(kind, min_size=1, max_size=4, unique=True))
    codes = draw(st.lists(st.integers(-1, len(categories) - 1), min_size=N, max_size=N))
    index = pd.Index(categories, dtype=object if isinstance(categories[0], str) else None)
    return pd.Categorical.from_codes(codes, categories=index, ordered=draw(st.booleans()))


COLUMNS = {
    "small": full(st.integers(-128, 127)).map(lambda v: np.array(v, "int8")),
    "whole": full(st.integers(-(2**63), 2**63 - 1)).map(lambda v: np.array(v, "int64")),
    "nullable": rows(st.integers(-(2**63), 2**63 - 1)).map(lambda v: pd.array(v, "Int64")),
    "single": full(st.floats(width=32)).map(lambda v: np.array(v, "float32")),
    "real": full(st.floats()).map(lambda v: np.array(v)),
    "nullable real": rows(st.floats(allow_nan=False)).map(lambda v: pd.array(v, "Float64")),
    "truth": full(st.booleans()),
    "nullable truth": rows(st.booleans()).map(lambda v: pd.array(v, "boolean")),
    "mixed truth": rows(st.booleans()).map(lambda v: np.array(v, object)),
    "text": rows(TEXT).map(lambda v: np.array(v, object)),
    "text with NaN": rows(TEXT, np.nan).map(lambda v: np.array(v, object)),
    "string": rows(TEXT).map(lambda v: pd.array(v, "string")),
    "category": categoricals(),
    "day": rows(st.dates()).map(lambda v: np.array(v, object)),
    "moment": rows(MICROSECONDS).map(lambda v: pd.Series(v, dtype="datetime64[us]")),
    "zoned": rows(MICROSECONDS).map(lambda v: pd.Series(v, dtype="datetime64[us]").dt.tz_localize("UTC")),
    "list": rows(st.lists(TEXT, max_size=3)).map(lambda v: pd.Series(v, dtype=object)),
}


def expected(name: str, values: object) -> list:
    """What `obs` of a result holds; missing values as None."""
    series = pd.Series(values).reset_index(drop=True)
    plain = [None if _missing(v) else v for v in series.tolist()]
    if name == "list" and any(v is not None for v in plain):
        return [None if v is None else json.dumps(v, ensure_ascii=False) for v in plain]
    if name == "day":
        return [None if v is None else v.isoformat() for v in plain]
    if name in ("moment", "zoned"):
        zone = "Z" if name == "zoned" else ""
        return [None if v is None else f"{v.tz_localize(None).isoformat(timespec='microseconds')}{zone}" for v in plain]
    return plain


def _missing(value: object) -> bool:
    return value is None or (not isinstance(value, list) and pd.isna(value))


def found(frame: pd.DataFrame, name: str) -> list:
    return [None if _missing(v) else v for v in frame[name].tolist()]


def field_name(name: str) -> str:
    return name.replace(" ", "_")


@given(st.fixed_dictionaries(COLUMNS), st.integers(1, 3), st.data())
@settings(max_examples=10, phases=[Phase.reuse, Phase.generate])  # an example takes too long to be made small
def test_obs_comes_back(columns, width, data):
    obs = pd.DataFrame({name: pd.Series(values).reset_index(drop=True) for name, values in columns.items()})
    obs.index = [f"cell {i}" for i in range(N)]
    embedding = np.array(data.draw(full(st.lists(st.floats(width=32), min_size=width, max_size=width))), "float32")
    adata = anndata.AnnData(
        sp.csr_matrix(np.ones((N, 2), "float32")),
        obs=obs,
        var=pd.DataFrame({"global_feature_uid": ["a", "b"]}, index=["a", "b"]),
        obsm={"X_embedding": embedding},
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        result = through_an_atlas(adata, Path(folder) / "one")
        check(result, columns, embedding)
        path = Path(folder) / "result.h5ad"
        result.write_h5ad(path)
        stored = anndata.read_h5ad(path)
        check(stored, columns, embedding)
        for name in columns:
            assert result.obs[field_name(name)].isna().tolist() == stored.obs[field_name(name)].isna().tolist()
        # Once more with the types of the first schema: texts become days, moments and lists again.
        stored.var["global_feature_uid"] = stored.var_names
        again = through_an_atlas(stored, Path(folder) / "two", like=Path(folder) / "one")
        check(again, columns, embedding)


def through_an_atlas(adata: anndata.AnnData, folder: Path, like: Path | None = None) -> anndata.AnnData:
    schema = SCHEMAS[like] if like else hox.HoxBaseSchema.from_anndata(adata, obs_names="name", obsm=True)
    SCHEMAS[folder] = schema
    spaces = {"gene_expression": hox.FeatureBaseSchema}
    atlas = hox.create_or_open_atlas(folder, "cells", schema, "datasets", hox.DatasetRecord, registry_schemas=spaces)
    atlas.register_features("gene_expression", [hox.FeatureBaseSchema(uid=uid) for uid in ("a", "b")])
    record = hox.DatasetRecord(zarr_group="g", feature_space="gene_expression", n_cells=N)
    hox.add_from_anndata(atlas, adata, feature_space="gene_expression", zarr_layer="counts", dataset_record=record)
    atlas.optimize()
    atlas.snapshot()
    return hox.RaggedAtlas.checkout_latest(folder).query().to_anndata()


SCHEMAS: dict[Path, type] = {}


def check(result: anndata.AnnData, columns: dict, embedding: np.ndarray) -> None:
    assert found(result.obs, "name") == [f"cell {i}" for i in range(N)]
    np.testing.assert_array_equal(result.obsm["X_embedding"], embedding)
    assert result.obsm["X_embedding"].dtype == np.float32
    for name, values in columns.items():
        assert found(result.obs, field_name(name)) == expected(name, values), name
    category, given_category = result.obs["category"].array, columns["category"]
    assert category.ordered == given_category.ordered
    assert category.categories.tolist() == given_category.categories.tolist()
    assert result.obs["small"].dtype == np.int8
    assert result.obs["single"].dtype == np.float32
    assert result.obs["real"].dtype == result.obs["nullable_real"].dtype == np.float64
    assert result.obs["truth"].dtype == bool
