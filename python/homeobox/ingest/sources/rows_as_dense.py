"""A sparse source that goes into a dense feature space: whole rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from homeobox.ingest.sources.matrix import BLOCK_ELEMENTS, CsrSource, DenseSource, check_columns


class RowsAsDense(DenseSource):
    """Whole rows of a sparse source; repeated entries are summed."""

    def __init__(self, source: CsrSource, block_elements: int = BLOCK_ELEMENTS) -> None:
        self._source = source
        self.name = source.name
        self.shape = source.shape
        self.dtypes = source.dtypes
        self._step = max(1, block_elements // source.shape[1])

    def blocks(self) -> Iterator[tuple[np.ndarray, ...]]:
        for block in self._source.blocks():
            check_columns(block.indices[block.entries], self.shape[1], self.name)
            for begin in range(0, block.n_rows, self._step):
                indptr = block.indptr[begin : begin + self._step + 1]
                entries = slice(int(indptr[0]), int(indptr[-1]))
                n_rows = len(indptr) - 1
                rows = np.repeat(np.arange(n_rows), np.diff(indptr))
                columns = block.indices[entries]
                dense = []
                for values in block.layers:
                    whole = np.zeros((n_rows, self.shape[1]), dtype=values.dtype)
                    np.add.at(whole, (rows, columns), values[entries])
                    dense.append(whole)
                yield tuple(dense)
