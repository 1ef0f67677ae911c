"""Obs columns of the cells of a loader, held so that any rows of them are at hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.types as pat


class CellColumns:
    """Columns in memory; text as a number per cell and the distinct texts once.

    Parameters
    ----------
    table : pyarrow.Table, n rows
        The columns.
    present : ndarray of bool, shape (n,)
        Which rows count; the others are left out.
    """

    def __init__(self, table: pa.Table, present: np.ndarray) -> None:
        self._values: dict[str, np.ndarray] = {}
        self._texts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name in table.column_names:
            column = table[name].filter(pa.array(present))
            if pat.is_string(column.type) or pat.is_large_string(column.type):
                encoded = pa.chunked_array(column.dictionary_encode()).combine_chunks()
                # One more text at the end: -1 finds it, and it is the missing one.
                distinct = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
                codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
                self._texts[name] = distinct, codes
            else:
                self._values[name] = column.to_numpy()
        self._names = table.column_names

    def take(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The values of these rows by column, in the order of `rows`; text as objects, missing text as None."""
        return {
            name: self._values[name][rows] if name in self._values else self._texts[name][0][self._texts[name][1][rows]]
            for name in self._names
        }
