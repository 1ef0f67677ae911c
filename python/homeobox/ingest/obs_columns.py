"""Obs columns of a source, converted into the Arrow columns of the cell table.

pandas says "missing" in four ways (NaN, None, NaT, NA) and keeps labels as categories; the cell table has nulls and
plain types. The conversion is exact or refused: a number is never turned into text, text never into a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pandas as pd
    from pydantic.fields import FieldInfo


def convert_obs(
    obs: pd.DataFrame, fields: list[pa.Field], model_fields: Mapping[str, FieldInfo]
) -> dict[str, pa.Array]:
    """One Arrow array per field, each of the field's type and as long as `obs`.

    Parameters
    ----------
    obs
        Columns are taken by name; further columns are not looked at.
    fields
        Columns of the cell table that describe the cell (no uids, no pointers).
    model_fields
        The same fields in the schema class; says which may be left out, and what stands there then.

    Raises
    ------
    InvalidArgumentError
        Names every column that is missing or does not fit, not just the first.
    """
    columns: dict[str, pa.Array] = {}
    problems: list[str] = []
    for field in fields:
        try:
            if field.name in obs.columns:
                columns[field.name] = _convert(obs[field.name], field)
            else:
                columns[field.name] = _default(field, model_fields.get(field.name), len(obs))
        except _ColumnError as problem:
            problems.append(str(problem))
    if problems:
        raise InvalidArgumentError("obs columns do not match cell schema: " + "; ".join(problems))
    return columns


class _ColumnError(Exception):
    pass


def _default(field: pa.Field, info: FieldInfo | None, n_rows: int) -> pa.Array:
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
    if not _fits(source.type, field.type):
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
        raise _ColumnError(
            f"column '{field.name}' has {converted.null_count} missing value(s), the first in row {first} "
            f"({series.index[first]!r}), and the schema does not allow None"
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
        if any(isinstance(value, str | bytes) for value in values):
            raise TypeError("a text would be taken apart into its letters")
        return pa.array(values, type=target)
    array = pa.Array.from_pandas(series)
    if array.null_count == len(array):
        return pa.nulls(len(array), type=target)  # pandas calls a column without any value "float64"
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _at_midnight(moments: pa.Array) -> bool:
    days = pc.floor_temporal(moments, unit="day")
    return bool(pc.all(pc.equal(days, moments), min_count=0).as_py())


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _has_zone(kind: pa.DataType) -> bool:
    return pat.is_timestamp(kind) and kind.tz is not None


def _fits(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether values keep their meaning; that they also keep their value is the cast's business."""
    if source == target or pat.is_null(source):
        return True
    if pat.is_string(target) or pat.is_large_string(target):
        return pat.is_string(source) or pat.is_large_string(source) or pat.is_string_view(source)
    if pat.is_integer(target) or pat.is_floating(target):
        return pat.is_integer(source) or pat.is_floating(source)
    if pat.is_temporal(target):
        # A zone makes a moment of a reading of the clock; without one on both sides the hour would shift.
        return pat.is_temporal(source) and _has_zone(source) == _has_zone(target)
    if pat.is_binary(target) or pat.is_large_binary(target):
        return pat.is_binary(source) or pat.is_large_binary(source)
    return False
