"""A source stored by columns, given by rows in bounded memory: entries are dealt into ranges of rows on disk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from homeobox.ingest.sources.entry_ranges import EntryRanges
from homeobox.ingest.sources.matrix import CsrBlock, CsrSource, check_columns
from homeobox.ingest.sources.reading import Reading


class ColumnsAsRows(CsrSource):
    """The transpose of a source of rows: its columns become rows, with entries by ascending column.

    Reads the source twice when it is made, to count the entries of each row and to deal them out. After that the
    rows come from a scratch file without a name, or from memory where all entries fit into half of the budget.
    """

    def __init__(self, columns: CsrSource, reading: Reading) -> None:
        self.name = columns.name
        n_columns, n_rows = columns.shape
        self.shape = (n_rows, n_columns)
        self.dtypes = columns.dtypes
        lengths = np.zeros(n_rows, dtype=np.int64)
        for block in columns.blocks():
            rows = block.indices[block.entries]
            check_columns(rows, n_rows, self.name)
            lengths += np.bincount(rows, minlength=n_rows)
        self.indptr = np.zeros(n_rows + 1, dtype=np.int64)
        np.cumsum(lengths, out=self.indptr[1:])
        self._ranges = EntryRanges(self.indptr, self.dtypes, reading)
        first_column = 0
        for block in columns.blocks():
            numbers = np.arange(first_column, first_column + block.n_rows, dtype=np.uint32)
            first_column += block.n_rows
            self._ranges.add(
                block.indices[block.entries].astype(np.int64, copy=False),
                np.repeat(numbers, np.diff(block.indptr)),
                [layer[block.entries] for layer in block.layers],
            )

    def blocks(self) -> Iterator[CsrBlock]:
        return self._ranges.blocks()
