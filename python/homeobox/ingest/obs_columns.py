"""Obs columns of a source, converted into the Arrow columns of the cell table.

pandas says "missing" in four ways (NaN, None, NaT, NA) and keeps labels as categories; the cell table has nulls and
plain types. A number is never turned into text, text never into a number, and whole numbers are exact or refused.
Floats are rounded to the type of the column, also those of vectors, as float64 in a float32 column. Where a query has
to give text for a type that h5ad files lack, ISO 8601 for days and moments and JSON for lists and structs, that text is
taken back.
"""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from homeobox.catalog.arrow_schema import pointer_fields_of_table
from homeobox.catalog.column_casts import keeps_meaning
from homeobox.errors import InvalidArgumentError
from homeobox.schema import AUTO_FIELDS, ColumnInfo

if TYPE_CHECKING:
    import pandas as pd
    from pydantic.fields import FieldInfo


def convert_cells(
    obs: pd.DataFrame, obsm: Mapping[str, Any], fields: list[pa.Field], model_fields: Mapping[str, FieldInfo]
) -> dict[str, pa.Array]:
    """One Arrow array per field, each of the field's type and one row per cell.

    Columns of obs are taken by name, or by the name that the column says; vectors from obsm; a column that is marked
    so from the index of obs. Obs columns that no field takes are named in a warning.

    Parameters
    ----------
    fields
        Columns of the cell table that the ingest does not fill itself.
    model_fields
        Fields of the schema class; say which may be left out, and what stands there then. Columns of the table that
        the class lacks become null, pointers zero-filled.

    Raises
    ------
    InvalidArgumentError
        Names every column that is missing or does not fit, not just the first.
    """
    return _convert_source(_Source(obs, obsm), fields, model_fields)


def convert_obs(
    obs: pd.DataFrame, fields: list[pa.Field], model_fields: Mapping[str, FieldInfo]
) -> dict[str, pa.Array]:
    """As `convert_cells`, for obs alone."""
    return _convert_source(_Source(obs, {}), fields, model_fields)


@dataclass
class _Source:
    """What cells can be described by, and which columns of obs were used."""

    obs: pd.DataFrame
    obsm: Mapping[str, Any]
    used: set[str] = dataclasses.field(default_factory=set)

    def column(self, name: str) -> pd.Series | pd.DataFrame:
        self.used.add(name)
        return self.obs[name]


def _convert_source(
    source: _Source, fields: list[pa.Field], model_fields: Mapping[str, FieldInfo]
) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    problems: list[str] = []
    for field in fields:
        try:
            columns[field.name] = _convert_field(source, field, model_fields.get(field.name))
        except _ColumnError as problem:
            problems.append(str(problem))
    if problems:
        raise InvalidArgumentError("obs columns do not match cell schema: " + "; ".join(problems))
    dropped = [str(name) for name in source.obs.columns if name not in source.used and name not in AUTO_FIELDS]
    if dropped:
        warnings.warn(
            f"obs column(s) {dropped} are not in the cell table and are left out; "
            "HoxBaseSchema.from_anndata derives a schema that has them",
            stacklevel=4,
        )
    return columns


def _convert_field(source: _Source, field: pa.Field, declared: FieldInfo | None) -> pa.Array:
    if pointer_fields_of_table(pa.schema([field])):
        return _absent_pointers(field.type, len(source.obs))
    info = ColumnInfo.of_metadata(field.metadata)
    for name in (field.name, info.source):
        if name is not None and name in source.obs.columns:
            return _checked_categories(_convert(source.column(name), field), field, info)
    for key in (info.obsm, field.name):
        if key is not None and key in source.obsm and pat.is_fixed_size_list(field.type):
            return _convert_matrix(source.obsm[key], key, field)
    if info.obs_names:
        return _convert(source.obs.index.to_series(), field)
    return _default(field, declared, len(source.obs))


def _absent_pointers(struct: pa.StructType, n_rows: int) -> pa.Array:
    """Of a modality that the schema class leaves out: zero-filled, since 0.2.2 takes a null for a pointer."""
    zero = {child.name: "" if pat.is_string(child.type) else 0 for child in struct}
    return pa.repeat(pa.scalar(zero, type=struct), n_rows)


def _checked_categories(values: pa.Array, field: pa.Field, info: ColumnInfo) -> pa.Array:
    if info.ordered:
        found = pc.unique(values).drop_null()
        others = found.filter(pc.invert(pc.is_in(found, value_set=pa.array(info.categories, type=values.type))))
        if len(others):
            raise _ColumnError(
                f"column '{field.name}': expected one of the ordered categories {info.categories}, "
                f"found {others[:5].to_pylist()}"
            )
    return values


def _convert_matrix(matrix: Any, key: str, field: pa.Field) -> pa.Array:
    """Rows of a matrix of obsm as vectors; a masked row is a null."""
    absent = np.ma.getmaskarray(matrix)[:, 0] if isinstance(matrix, np.ma.MaskedArray) else None
    rows = np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
    width, kind = field.type.list_size, field.type.value_type
    if rows.ndim != 2 or rows.shape[1] != width or rows.dtype.kind not in "iufb":
        raise _ColumnError(
            f"column '{field.name}': obsm['{key}'] must be a matrix of {width} numbers per cell, "
            f"found shape {rows.shape} of {rows.dtype}"
        )
    values = pa.array(np.ascontiguousarray(rows).reshape(-1))
    rounded = pat.is_floating(values.type) and pat.is_floating(kind)
    try:
        values = values.cast(kind, safe=not rounded)
    except pa.ArrowException as error:
        raise _ColumnError(f"column '{field.name}': obsm['{key}'] does not fit {field.type}: {error}") from None
    if absent is None:
        return pa.FixedSizeListArray.from_arrays(values, type=field.type)
    if not field.nullable:
        raise _ColumnError(
            f"column '{field.name}': obsm['{key}'] has no vector for {np.count_nonzero(absent)} cell(s), and the "
            "schema does not allow None"
        )
    return pa.FixedSizeListArray.from_arrays(values, type=field.type, mask=pa.array(absent))


class _ColumnError(Exception):
    pass


def _default(field: pa.Field, info: FieldInfo | None, n_rows: int) -> pa.Array:
    if info is None and field.nullable:
        return pa.nulls(n_rows, type=field.type)  # a column of the table that the schema class does not have
    if info is None or info.is_required():
        raise _ColumnError(f"Missing required column '{field.name}'")
    if info.default_factory is not None:
        return pa.array([info.get_default(call_default_factory=True) for _ in range(n_rows)], type=field.type)
    if info.default is None:
        return pa.nulls(n_rows, type=field.type)
    return pa.repeat(pa.scalar(info.default, type=field.type), n_rows)


def _convert(series: pd.Series | pd.DataFrame, field: pa.Field) -> pa.Array:
    import pandas as pd

    if isinstance(series, pd.DataFrame):
        raise _ColumnError(f"column '{field.name}' occurs {series.shape[1]} times")
    try:
        source = _to_arrow(series, field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise _ColumnError(
            f"column '{field.name}': expected {field.type}, found {series.dtype} that does not convert ({error})"
        ) from None
    if not keeps_meaning(source.type, field.type):
        raise _ColumnError(f"column '{field.name}': expected {field.type}, found {source.type}")
    if pat.is_date(field.type) and pat.is_timestamp(source.type) and not _at_midnight(source):
        raise _ColumnError(f"column '{field.name}': expected {field.type}, found times of day, which it cannot hold")
    try:
        converted = source.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _ColumnError(f"column '{field.name}': expected {field.type}, found {source.type}: {error}") from None
    if not field.nullable and converted.null_count:
        if pat.is_floating(field.type):
            return converted.fill_null(float("nan"))  # a float column can say "missing" without a null
        first = int(np.flatnonzero(np.asarray(converted.is_null()))[0])
        label = "" if isinstance(series.index, pd.RangeIndex) else f" ({series.index[first]!r})"
        raise _ColumnError(
            f"column '{field.name}' has {converted.null_count} missing value(s), the first in row {first}{label}, "
            "and the schema does not allow None"
        )
    return converted


def _to_arrow(series: pd.Series, target: pa.DataType) -> pa.Array:
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        # Convert each category once; a code of -1 is "missing".
        codes = series.cat.codes.to_numpy()
        categories = _to_arrow(series.cat.categories.to_series(), target)
        return categories.take(pa.array(codes.astype(np.int64), mask=codes < 0))
    if pat.is_nested(target):
        # Structs and lists have no dtype in pandas: their Python values are converted to the wanted type at once.
        values = [None if _is_missing(value) else value for value in series.tolist()]
        return pa.array([_from_json(value) for value in values], type=target)
    array = pa.Array.from_pandas(series)
    if array.null_count == len(array):
        return pa.nulls(len(array), type=target)  # pandas calls a column without any value "float64"
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _from_json(value: Any) -> Any:
    """A list or struct that a query gave as text."""
    if not isinstance(value, str | bytes):
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    if not isinstance(parsed, list | dict):
        raise TypeError("a text would be taken apart into its letters")
    return parsed


def _at_midnight(moments: pa.Array) -> bool:
    days = pc.floor_temporal(moments, unit="day")
    return bool(pc.all(pc.equal(days, moments), min_count=0).as_py())


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)
