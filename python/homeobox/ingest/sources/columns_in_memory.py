"""Compressed columns in memory, given by rows without a second copy of all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.matrix import BLOCK_ELEMENTS, CsrBlock, CsrSource, check_columns, row_ranges
from homeobox.ingest.sources.reading import Reading

# Cutting a block out of all columns takes, for each of its entries, its place, and the entry by columns and by rows.
_BYTES_PER_BLOCK_ELEMENT = 128


class ColumnsInMemory(CsrSource):
    """Rows of a matrix whose columns hold their entries by ascending row.

    A block of rows is a piece of each column, found by bisection; so each reading turns it into rows anew.

    Parameters
    ----------
    column_bounds
        int64 [n_columns + 1].
    rows, values
        Of each entry; native byte order.
    """

    def __init__(
        self,
        column_bounds: np.ndarray,
        rows: np.ndarray,
        values: np.ndarray,
        shape: tuple[int, int],
        name: str,
        reading: Reading,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtypes = (values.dtype,)
        check_columns(rows, shape[0], name)
        lengths = np.zeros(shape[0], dtype=np.int64)
        for begin in range(0, len(rows), BLOCK_ELEMENTS):  # NumPy counts numbers of 64 bits, into which it copies them
            lengths += np.bincount(rows[begin : begin + BLOCK_ELEMENTS], minlength=shape[0])
        self.indptr = np.zeros(shape[0] + 1, dtype=np.int64)
        np.cumsum(lengths, out=self.indptr[1:])
        self._column_bounds = column_bounds
        self._rows = rows
        self._values = values
        self._block_elements = min(BLOCK_ELEMENTS, max(1 << 12, reading.memory_bytes // (4 * _BYTES_PER_BLOCK_ELEMENT)))

    def blocks(self) -> Iterator[CsrBlock]:
        import scipy.sparse

        begins = self._column_bounds[:-1]
        for first, last in row_ranges(self.indptr, self._block_elements):
            ends = self._first_at_or_behind(last, begins)
            bounds = np.concatenate([[0], np.cumsum(ends - begins)])
            places = np.arange(bounds[-1]) + np.repeat(begins - bounds[:-1], ends - begins)
            rows_of_piece = self._rows[places] - first
            self._check_piece(rows_of_piece, first, last)
            piece = (self._values[places], rows_of_piece, bounds)
            rows = scipy.sparse.csc_matrix(piece, shape=(last - first, self.shape[1])).tocsr()
            yield CsrBlock(rows.indptr.astype(np.int64), rows.indices, (rows.data,))
            begins = ends

    def _check_piece(self, rows: np.ndarray, first: int, last: int) -> None:
        """That it is just the entries of its rows, which SciPy takes on trust and writes where they say."""
        n_expected = int(self.indptr[last] - self.indptr[first])
        if len(rows) != n_expected or (n_expected and (rows.min() < 0 or rows.max() >= last - first)):
            raise InvalidArgumentError(f"{self.name}: the matrix was changed while it was being read")

    def _first_at_or_behind(self, row: int, begins: np.ndarray) -> np.ndarray:
        """The place in each column, from `begins` on, of its first entry of `row` or a later one; or its end."""
        low, high = begins.copy(), self._column_bounds[1:].copy()
        while (open_columns := np.flatnonzero(low < high)).size:
            middle = (low[open_columns] + high[open_columns]) // 2
            is_before = self._rows[middle] < row
            low[open_columns[is_before]] = middle[is_before] + 1
            high[open_columns[~is_before]] = middle[~is_before]
        return low


def ascend(rows: np.ndarray, column_bounds: np.ndarray) -> bool:
    """Whether the rows of each column ascend, repeated ones included. SciPy's flag says what once was."""
    for begin in range(0, len(rows), BLOCK_ELEMENTS):
        piece = rows[begin : begin + BLOCK_ELEMENTS + 1]
        falls = np.flatnonzero(piece[1:] < piece[:-1]) + begin + 1
        if not np.array_equal(column_bounds[np.searchsorted(column_bounds, falls)], falls):
            return False
    return True
