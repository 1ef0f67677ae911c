"""The cells of a query: obs columns and pointers, read from the cell table in one scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.types as pat

from homeobox.catalog.arrow_schema import pointer_fields_of_table
from homeobox.errors import InvalidArgumentError
from homeobox.query.pointers import PointerColumns, pointer_columns, read_pointers
from homeobox.query.request import QueryRequest
from homeobox.schema import PointerField

if TYPE_CHECKING:
    from homeobox.catalog import Catalog


@dataclass(frozen=True)
class CellSelection:
    """Cells in query order: their obs columns, and per modality where their data lies."""

    obs: pa.Table
    pointers: list[PointerColumns]


def obs_columns(catalog: Catalog, request: QueryRequest, with_structs: bool = False) -> list[str]:
    """Columns that describe a cell: no pointers, none that are internal to Lance, and structs only if asked for."""
    pointers = pointer_fields_of_table(catalog.cells_schema)
    fields = [field for field in catalog.cells_schema if field.name not in pointers]
    names = [field.name for field in fields if with_structs or not pat.is_struct(field.type)]
    names = [name for name in names if not name.startswith("_")]
    if request.columns is None:
        return names
    return [name for name in names if name in set(request.columns)]


def check_columns(catalog: Catalog, columns: Sequence[str]) -> None:
    """Refuse names that the cell table does not have.

    Raises
    ------
    InvalidArgumentError
        Lists the unknown names and the known ones.
    """
    unknown = [name for name in columns if name not in catalog.cells_schema.names]
    if unknown:
        raise InvalidArgumentError(f"unknown column(s) {unknown}; the cell table has {catalog.cells_schema.names}")


def read_obs(catalog: Catalog, request: QueryRequest) -> pa.Table:
    """Obs columns of the selected cells."""
    return _scan(catalog, request, obs_columns(catalog, request))


def read_cells(catalog: Catalog, request: QueryRequest, fields: Sequence[PointerField]) -> CellSelection:
    """Obs columns of the selected cells and their pointers of `fields`."""
    obs = obs_columns(catalog, request, with_structs=True)
    nested = [column for field in fields for column in pointer_columns(field)]
    table = _scan(catalog, request, [*obs, *nested])
    return CellSelection(table.select(obs), [read_pointers(table, field) for field in fields])


def scan_pointers(
    catalog: Catalog, request: QueryRequest, field: PointerField, columns: Sequence[str] = ()
) -> tuple[PointerColumns, pa.Table]:
    """Pointers of the selected cells, and of their obs columns just these."""
    table = _scan(catalog, request, [*pointer_columns(field), *columns])
    return read_pointers(table, field), table.select(list(columns))


def count_cells(catalog: Catalog, request: QueryRequest) -> int:
    """Number of selected cells; reads no column unless there is a condition."""
    n_cells = max(0, catalog.count_cells(request.where) - (request.offset or 0))
    return n_cells if request.limit is None else min(n_cells, request.limit)


def read_columns(catalog: Catalog, request: QueryRequest, columns: Sequence[str]) -> pa.Table:
    """Just these columns of the selected cells."""
    check_columns(catalog, columns)
    return _scan(catalog, request, list(columns))


def _scan(catalog: Catalog, request: QueryRequest, columns: list[str]) -> pa.Table:
    return catalog.scan_cells(columns, where=request.where, limit=request.limit, offset=request.offset)
