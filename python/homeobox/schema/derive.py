"""Schema classes derived from the frames of an AnnData.

Each column of obs (or var) becomes an optional field of the type that keeps its values: numbers, truth values, text,
days, moments, lists, categories. A name that a table cannot have is changed, and the field remembers the source.
"""

from __future__ import annotations

import datetime
import keyword
import re
import warnings
from collections.abc import Mapping, Sequence
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, create_model

from homeobox.errors import InvalidArgumentError
from homeobox.schema.columns import DTYPES, ColumnInfo
from homeobox.schema.vector import Vector

if TYPE_CHECKING:
    import pandas as pd

# More categories than these are not written down: they come back sorted.
_MAX_CATEGORIES = 4096

_OF_INFERRED = {
    "string": str,
    "empty": str,
    "boolean": bool,
    "integer": int,
    "floating": float,
    "mixed-integer-float": float,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "datetime64": datetime.datetime,
    "bytes": bytes,
}


class NameTable:
    """Field names for column names: plain, distinct, none that the class has already."""

    def __init__(self, base: type[BaseModel], taken: Sequence[str] = ()) -> None:
        self._base = base
        self._taken = {name.lower() for name in taken}

    def take(self, name: str) -> tuple[str, str | None]:
        """A field name for a column, and the column's name if it is another."""
        plain = re.sub(r"\W", "_", str(name), flags=re.ASCII).lstrip("_") or "column"
        if plain[0].isdigit():
            plain = f"x{plain}"
        if hasattr(self._base, plain) or plain in self._base.model_fields or keyword.iskeyword(plain):
            plain = f"{plain}_"
        field, number = plain, 2
        while field.lower() in self._taken:  # SQL knows no upper case
            field, number = f"{plain}_{number}", number + 1
        self._taken.add(field.lower())
        return field, None if field == name else str(name)


def fields_of_frame(frame: pd.DataFrame, names: NameTable, where: str) -> dict[str, Any]:
    """Field definitions for `create_model`, one per column; a column that no table can hold is named in a warning."""
    fields: dict[str, Any] = {}
    refused = []
    for position, name in enumerate(frame.columns):
        annotation, known = annotation_of(frame.iloc[:, position])
        if annotation is None:
            refused.append(f"'{name}' ({frame.dtypes.iloc[position]})")
            continue
        field, source = names.take(name)
        fields[field] = optional_field(annotation, source=source, **known)
    if refused:
        warnings.warn(f"{where} column(s) {', '.join(refused)} have no column type and are left out", stacklevel=4)
    return fields


def optional_field(annotation: Any, *, tz: str | None = None, **known: Any) -> tuple[Any, Any]:
    """Type and default of a field that may be None."""
    extra = ColumnInfo(**known).to_extra()
    if tz is not None:
        extra["tz"] = tz
    return annotation | None, Field(None, json_schema_extra=extra or None)


def annotation_of(series: pd.Series) -> tuple[Any, dict[str, Any]]:
    """The type of a column's values and what else is to be recorded; (None, {}) if no table can hold them."""
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        values = dtype.categories.to_series()
        annotation, known = annotation_of(values)
        if annotation not in (str, int, float, bool):
            return annotation, known
        written = [value.item() if hasattr(value, "item") else value for value in values]
        if len(written) > _MAX_CATEGORIES and not dtype.ordered:
            return annotation, {"is_categorical": True}
        return annotation, {"is_categorical": True, "categories": written, "ordered": bool(dtype.ordered)}
    if isinstance(dtype, pd.DatetimeTZDtype):
        return datetime.datetime, {"tz": str(dtype.tz)}
    if dtype.kind == "M":
        return datetime.datetime, {}
    if dtype.kind == "b":
        return bool, {}
    if dtype.kind in "iuf":
        width = str(dtype).lower()  # of nullable ones too
        return int if dtype.kind in "iu" else float, {"dtype": width} if width in DTYPES else {}
    if isinstance(dtype, pd.StringDtype):
        return str, {}
    if dtype.kind != "O":
        return None, {}
    return _annotation_of_objects(series)


def _annotation_of_objects(series: pd.Series) -> tuple[Any, dict[str, Any]]:
    import pandas as pd

    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred in _OF_INFERRED:
        zones = {str(value.tzinfo) for value in series.dropna() if getattr(value, "tzinfo", None) is not None}
        if len(zones) > 1:
            return None, {}
        return _OF_INFERRED[inferred], {"tz": zones.pop()} if zones else {}
    lists = [value for value in series if not _is_missing(value)]
    if not lists or not all(isinstance(value, list | tuple) or hasattr(value, "tolist") for value in lists):
        return None, {}
    items = pd.Series([item for value in lists for item in value], dtype=object)
    annotation, known = _annotation_of_objects(items) if len(items) else (str, {})
    return (
        (GenericAlias(list, (annotation,)), {}) if annotation in (str, int, float, bool) and not known else (None, {})
    )


def plain_values(series: pd.Series) -> list[Any]:
    """The values of a column as Python objects, None where one is missing."""
    missing = series.isna() if series.dtype.kind != "O" else series.map(_is_missing)
    values = series.astype(object).tolist()
    return [
        None if absent else value.item() if hasattr(value, "item") else value
        for value, absent in zip(values, missing, strict=True)
    ]


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def fields_of_obsm(
    obsm: Mapping[str, Any], wanted: Mapping[str, str] | Sequence[str] | bool | None, names: NameTable
) -> dict[str, Any]:
    """Vector fields for matrices of obsm.

    Parameters
    ----------
    wanted
        Matrix name to field name, a list of matrices, or True for all that fit.

    Raises
    ------
    InvalidArgumentError
        A matrix that was named does not exist or is not a matrix of numbers.
    """
    if not wanted:
        return {}
    if wanted is True:
        # What a query says about layouts is not data of the cells.
        chosen = {key: key for key in obsm if key != "layout" and _vector_type(obsm[key]) is not None}
    elif isinstance(wanted, Mapping):
        chosen = dict(wanted)
    else:
        chosen = {key: key for key in wanted}
    fields: dict[str, Any] = {}
    for key, name in chosen.items():
        if key not in obsm:
            raise InvalidArgumentError(f"adata.obsm has no '{key}', it has {list(obsm)}")
        vector = _vector_type(obsm[key])
        if vector is None or key == "layout":
            raise InvalidArgumentError(f"adata.obsm['{key}'] cannot be a vector column: it must be a matrix of numbers")
        field, _ = names.take(name)
        fields[field] = optional_field(vector, obsm=key)
    return fields


def _vector_type(matrix: Any) -> Any:
    shape: tuple[int, ...] = getattr(matrix, "shape", ())
    dtype = getattr(matrix, "dtype", None)
    if len(shape) != 2 or shape[1] < 1 or dtype is None or dtype.kind not in "iuf":
        return None
    if dtype.itemsize > 8:
        return None
    return Vector(int(shape[1]), "float32" if dtype.name == "float16" else dtype.name)


def new_class(name: str, base: type[BaseModel], fields: dict[str, Any]) -> Any:
    """A subclass with these fields."""
    return create_model(name, __base__=base, __module__=base.__module__, **fields)
