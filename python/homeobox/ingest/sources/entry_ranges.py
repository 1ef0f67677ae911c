"""Entries of a matrix in any order, dealt into ranges of rows and given back row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from homeobox.ingest.sources.entry_room import room_for
from homeobox.ingest.sources.matrix import CsrBlock, row_ranges
from homeobox.ingest.sources.reading import Reading


class EntryRanges:
    """Room for every entry, known by the number of entries of each row.

    A range of rows holds what is sorted in memory at once. Its entries lie together, in the order in which they came,
    as three arrays: row inside the range, column, and the values of each layer. They are in memory if all of them fit
    into half of the budget, else in a scratch file without a name.
    """

    def __init__(self, indptr: np.ndarray, dtypes: Sequence[np.dtype], reading: Reading) -> None:
        self._indptr = indptr
        self._bounds = list(row_ranges(indptr, reading.block_elements))
        self._first_rows = np.array([begin for begin, _ in self._bounds], dtype=np.int64)
        self._filled = indptr[self._first_rows].copy()
        kinds = [np.dtype(np.uint32), np.dtype(np.uint32), *dtypes]
        self._arrays = room_for(int(indptr[-1]), kinds, reading)

    def add(self, rows: np.ndarray, columns: np.ndarray, layers: Sequence[np.ndarray]) -> None:
        """Entries, of which those of one row and column stay in this order."""
        ranges = np.searchsorted(self._first_rows, rows, side="right") - 1
        # Radix sort, for up to 65536 ranges.
        ranges = ranges.astype(np.uint16 if len(self._bounds) <= 1 << 16 else np.int64)
        order = np.argsort(ranges, kind="stable")
        counts = np.bincount(ranges, minlength=len(self._bounds))
        inside = (rows - self._first_rows[ranges]).astype(np.uint32)
        parts = [part[order] for part in (inside, columns.astype(np.uint32, copy=False), *layers)]
        begin = 0
        for number in np.flatnonzero(counts):
            end = begin + int(counts[number])
            for array, part in zip(self._arrays, parts, strict=True):
                array.write(int(self._filled[number]), part[begin:end])
            self._filled[number] += end - begin
            begin = end

    def blocks(self) -> Iterator[CsrBlock]:
        """Every range, its entries by row and inside a row in the order in which they were added."""
        import scipy.sparse

        for begin, end in self._bounds:
            first, last = int(self._indptr[begin]), int(self._indptr[end])
            rows, columns, *layers = (array.read(first, last) for array in self._arrays)
            indptr = self._indptr[begin : end + 1] - first
            # A matrix of one entry per column, stored by columns, turned to rows: a counting sort, and stable.
            places = scipy.sparse.csc_array(
                (np.arange(last - first), rows, np.arange(last - first + 1)), shape=(end - begin, last - first)
            ).tocsr()
            yield CsrBlock(indptr, columns[places.data], tuple(layer[places.data] for layer in layers))
