"""A source that is dear to read: what the first reading gave is kept for those after it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from homeobox.ingest.sources.entry_room import EntryArray, room_for
from homeobox.ingest.sources.matrix import CsrBlock, CsrSource, row_ranges
from homeobox.ingest.sources.reading import Reading


class RememberedRows(CsrSource):
    """The rows of `source`, which is read once only; a reading that was not finished is forgotten."""

    def __init__(self, source: CsrSource, reading: Reading) -> None:
        self._source = source
        self._reading = reading
        self.name = source.name
        self.shape = source.shape
        self.indptr = source.indptr
        self.dtypes = source.dtypes
        self._kept: list[EntryArray] | None = None

    def blocks(self) -> Iterator[CsrBlock]:
        return self._read_source() if self._kept is None else self._read_kept(self._kept)

    def _read_source(self) -> Iterator[CsrBlock]:
        kept: list[EntryArray] = []
        row = 0
        for block in self._source.blocks():
            entries = block.entries
            if not kept:
                kept = room_for(self.n_entries, [block.indices.dtype, *self.dtypes], self._reading)
            for array, values in zip(kept, (block.indices, *block.layers), strict=True):
                array.write(int(self.indptr[row]), values[entries])
            row += block.n_rows
            yield block
        self._kept = kept

    def _read_kept(self, kept: list[EntryArray]) -> Iterator[CsrBlock]:
        for begin, end in row_ranges(self.indptr, self._reading.block_elements):
            first, last = int(self.indptr[begin]), int(self.indptr[end])
            indices, *layers = (array.read(first, last) for array in kept)
            yield CsrBlock(self.indptr[begin : end + 1] - np.int64(first), indices, tuple(layers))
