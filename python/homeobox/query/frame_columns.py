"""Arrow columns as columns of pandas frames, each of a kind that h5ad files hold.

h5ad has numbers, truth values, text, categories, and nullable integers and truth values. So days and moments become
ISO 8601 text, lists and structs JSON text, bytes hexadecimal digits; vectors are no columns of a frame but arrays.
Their types are what `to_polars` gives. An ingest takes the texts of days, moments, lists and structs back.
"""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from homeobox.schema import ColumnInfo
from homeobox.schema.columns import DTYPES

if TYPE_CHECKING:
    import pandas as pd


def is_vector(field: pa.Field) -> bool:
    """Whether a column is a matrix: a fixed number of numbers per row."""
    kind = field.type
    return pat.is_fixed_size_list(kind) and (pat.is_integer(kind.value_type) or pat.is_floating(kind.value_type))


def vectors(table: pa.Table) -> dict[str, np.ndarray]:
    """The vector columns of a table as matrices, by the name that they have in obsm.

    A row without a vector is NaN; whole numbers then become floats.
    """
    matrices = {}
    for field in table.schema:
        if is_vector(field):
            key = ColumnInfo.of_metadata(field.metadata).obsm or field.name
            matrices[key] = _matrix(table[field.name])
    return matrices


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    width, kind = column.type.list_size, column.type.value_type
    parts = []
    for chunk in column.chunks:
        missing = np.asarray(chunk.is_null())
        if not missing.any():
            rows = chunk.flatten().to_numpy(zero_copy_only=False).reshape(len(chunk), width)
        else:
            present = chunk.filter(pa.array(~missing)).flatten().to_numpy(zero_copy_only=False)
            dtype = present.dtype if present.dtype.kind == "f" else np.dtype(np.float64)
            rows = np.full((len(chunk), width), np.nan, dtype=dtype)
            rows[~missing] = present.reshape(-1, width)
        parts.append(rows)
    if not parts:
        return np.empty((0, width), dtype=kind.to_pandas_dtype())
    return np.concatenate(parts) if len(parts) > 1 else parts[0].copy()


def to_series(values: pa.ChunkedArray, field: pa.Field) -> pd.Series:
    """One column that the caller owns, its values exact."""
    import pandas as pd

    info = ColumnInfo.of_metadata(field.metadata)
    kind = values.type
    if info.is_categorical and not pat.is_nested(kind):
        return pd.Series(_categorical(values, info), copy=False)
    if pat.is_nested(kind):
        values = pa.chunked_array([pa.array(_json_texts(values), type=pa.string())])
    elif pat.is_temporal(kind):
        values = _iso_text(values)
    elif pat.is_binary(kind) or pat.is_large_binary(kind) or pat.is_fixed_size_binary(kind):
        values = pa.chunked_array([[None if v is None else v.hex() for v in values.to_pylist()]], type=pa.string())
    kind = values.type
    if pat.is_null(kind) or (_is_text(kind) and values.null_count == len(values) and len(values)):
        # A column of nothing but None has no type in an h5ad file; categories have one.
        nothing = np.full(len(values), -1, dtype=np.int8)
        return pd.Series(pd.Categorical.from_codes(nothing, categories=pd.Index([], dtype=object)))
    if values.null_count and (pat.is_integer(kind) or pat.is_boolean(kind)):
        # As NumPy arrays they would become floats (exact to 2**53 only) and mixed objects.
        filled = values.fill_null(False if pat.is_boolean(kind) else 0).to_numpy().copy()
        mask = np.array(values.is_null(), dtype=bool)
        if pat.is_boolean(kind):
            return pd.Series(pd.arrays.BooleanArray(filled, mask), copy=False)
        return pd.Series(pd.arrays.IntegerArray(_narrowed(filled, info.dtype), mask), copy=False)
    series = values.to_pandas()
    if info.dtype is not None and (pat.is_integer(kind) or pat.is_floating(kind)):
        return pd.Series(_narrowed(series.to_numpy().copy(), info.dtype), copy=False)
    return series if _is_text(kind) else series.copy()


def _narrowed(values: np.ndarray, dtype: str | None) -> np.ndarray:
    """As the type that the source had, unless a value would change: another source may have had larger ones, or a
    field may name a type of another kind, in which whole numbers and floats would be rounded to one another."""
    if dtype not in DTYPES:  # None, or what a later version writes
        return values
    if (np.dtype(dtype).kind == "f") != (values.dtype.kind == "f"):
        return values
    with np.errstate(over="ignore"):
        narrow = values.astype(dtype)
    return narrow if np.array_equal(narrow, values, equal_nan=values.dtype.kind == "f") else values


def _categorical(values: pa.ChunkedArray, info: ColumnInfo) -> pd.Categorical:
    """Recorded categories in their order; of an open list those that occur beside them follow, sorted."""
    import pandas as pd

    found = pc.unique(values).drop_null()
    recorded = pa.array(info.categories or [], type=values.type)
    others = found.filter(pc.invert(pc.is_in(found, value_set=recorded)))
    categories = pa.concat_arrays([recorded, others.take(pc.sort_indices(others))])
    codes = pc.fill_null(pc.index_in(values, value_set=categories), -1)
    names = categories.to_pandas()
    index = pd.Index(names.to_numpy(dtype=object) if _is_text(values.type) else names.to_numpy())
    return pd.Categorical.from_codes(codes.to_numpy(), categories=index, ordered=info.ordered and not len(others))


def _is_text(kind: pa.DataType) -> bool:
    return pat.is_string(kind) or pat.is_large_string(kind)


def _iso_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days as 2020-02-01, moments as 2020-02-01T05:00:00.000000, with Z at the end where they have a zone."""
    kind = values.type
    if not pat.is_timestamp(kind):
        return values.cast(pa.string())
    if kind.tz is not None:
        values = values.cast(pa.timestamp(kind.unit, "UTC"))
    return pc.replace_substring(values.cast(pa.string()), " ", "T", max_replacements=1)


def _json_texts(values: pa.ChunkedArray) -> list[str | None]:
    return [
        None if value is None else json.dumps(value, ensure_ascii=False, default=_json_value)
        for value in values.to_pylist()
    ]


def _json_value(value: Any) -> str:
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no JSON form for {type(value).__name__}")
