"""Entries in any order as rows: parsed once into binary, counted, and dealt out by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.entry_ranges import EntryRanges
from homeobox.ingest.sources.matrix import CsrBlock, CsrSource, check_shape
from homeobox.ingest.sources.reading import Reading

#: Gives rows, columns and values in pieces, as often as it is called.
EntryPieces = Callable[[], Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]]


class EntriesAsRows(CsrSource):
    """Reads the entries twice when it is made, to count those of each row and to deal them out.

    Entries of one row keep the order in which they came; repeated ones stay.
    """

    def __init__(
        self, pieces: EntryPieces, shape: tuple[int, int], dtype: np.dtype, name: str, reading: Reading
    ) -> None:
        check_shape(name, shape)
        self.name = name
        self.shape = shape
        self.dtypes = (dtype,)
        lengths = np.zeros(shape[0], dtype=np.int64)
        for rows, columns, _ in pieces():
            for axis, (numbers, size) in enumerate(((rows, shape[0]), (columns, shape[1]))):
                if len(numbers) and (int(numbers.min()) < 0 or int(numbers.max()) >= size):
                    raise InvalidArgumentError(
                        f"{name}: {'cells' if axis == 0 else 'features'} from {int(numbers.min())} to "
                        f"{int(numbers.max())} (counted from 0), expected 0 to {size - 1}"
                    )
            lengths += np.bincount(rows, minlength=shape[0])
        self.indptr = np.zeros(shape[0] + 1, dtype=np.int64)
        np.cumsum(lengths, out=self.indptr[1:])
        self._ranges = EntryRanges(self.indptr, self.dtypes, reading)
        step = reading.block_elements
        for rows, columns, values in pieces():
            for begin in range(0, len(rows), step):
                part = slice(begin, begin + step)
                self._ranges.add(rows[part], columns[part], [values[part]])

    def blocks(self) -> Iterator[CsrBlock]:
        return self._ranges.blocks()
