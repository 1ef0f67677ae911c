"""Numbers of cells by the values of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow.types as pat

from homeobox.errors import InvalidArgumentError
from homeobox.query.cells import check_columns, read_columns
from homeobox.query.request import QueryRequest

if TYPE_CHECKING:
    import polars as pl

    from homeobox.catalog import Catalog


def count_by(catalog: Catalog, request: QueryRequest, columns: Sequence[str]) -> pl.DataFrame:
    """Columns `columns` and `count`, one row per combination that occurs, sorted by the columns.

    Raises
    ------
    InvalidArgumentError
        No column, one that does not exist, one that holds structs, or one named `count`.
    """
    import polars as pl

    columns = list(dict.fromkeys(columns))
    if not columns:
        raise InvalidArgumentError("group_by needs at least one column")
    check_columns(catalog, columns)
    structs = [name for name in columns if pat.is_struct(catalog.cells_schema.field(name).type)]
    if structs:
        raise InvalidArgumentError(f"group_by: column(s) {structs} hold structs, which cannot be counted by value")
    if "count" in columns:
        raise InvalidArgumentError("group_by: a column named 'count' would clash with the result's own")
    frame = pl.from_arrow(read_columns(catalog, request, columns))
    assert isinstance(frame, pl.DataFrame)  # from_arrow gives a Series for an array only
    return frame.group_by(columns).agg(pl.len().alias("count").cast(pl.Int64)).sort(columns)
