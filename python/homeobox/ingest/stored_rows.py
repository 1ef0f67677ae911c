"""The rows of a stored sparse group, as the pointers of its cells say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from homeobox.catalog.sql import quote, quote_column
from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    from homeobox.catalog import Catalog


def stored_row_bounds(catalog: Catalog, group: str, feature_space: str) -> np.ndarray:
    """Where the entries of each row of the group begin, and where the last one's end: int64 [n_rows + 1].

    Raises
    ------
    InvalidArgumentError
        The cells of the group are not one for each of its rows, in the order of its entries.
    """
    field = next(field for field in catalog.pointer_fields.values() if field.feature_space == feature_space)
    columns = [f"{field.name}.{child}" for child in ("zarr_row", "start", "end")]
    cells = catalog.scan_cells(columns, where=f"{quote_column(field.name)}.zarr_group = {quote(group)}")
    if not cells.num_rows:
        raise InvalidArgumentError(f"No cells found for zarr group '{group}'")
    rows, begins, ends = (cells[column].to_numpy() for column in columns)
    order = np.argsort(rows, kind="stable")
    rows, begins, ends = rows[order], begins[order], ends[order]
    if bool(np.any(rows[1:] == rows[:-1])):
        raise InvalidArgumentError(f"zarr_row values of zarr group '{group}' contain duplicate values")
    if rows[0] != 0 or rows[-1] != len(rows) - 1:
        raise InvalidArgumentError(
            f"zarr_row values of zarr group '{group}' are not sequential: {len(rows)} cells have rows "
            f"{rows[0]} to {rows[-1]}"
        )
    gaps = np.flatnonzero(begins[1:] != ends[:-1])
    if begins[0] != 0 or len(gaps):
        row = int(gaps[0]) + 1 if len(gaps) else 0
        raise InvalidArgumentError(
            f"row {row} of zarr group '{group}' begins at entry {begins[row]}, "
            f"expected {ends[row - 1] if row else 0}: the rows must follow one another"
        )
    return np.append(begins, ends[-1:]).astype(np.int64, copy=False)
