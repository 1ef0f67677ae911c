"""A dense source that goes into a sparse feature space: its rows without their zeros."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.matrix import CsrBlock, CsrSource, DenseSource


class DenseAsRows(CsrSource):
    """Entries that are not zero in the first layer; NaN and -0.0 with a payload count as SciPy counts them.

    Reads the source once when it is made, to count the entries of each row.

    Raises
    ------
    InvalidArgumentError
        A further layer is not zero where the first one is, so that its value would be lost.
    """

    def __init__(self, source: DenseSource) -> None:
        self._source = source
        self.name = source.name
        self.shape = source.shape
        self.dtypes = source.dtypes
        self.indptr = np.zeros(source.shape[0] + 1, dtype=np.int64)
        begin = 0
        for values, *others in source.blocks():
            end = begin + len(values)
            self._check_nothing_lost(begin, values, others)
            self.indptr[begin + 1 : end + 1] = np.count_nonzero(values, axis=1)
            begin = end
        np.cumsum(self.indptr, out=self.indptr)

    def _check_nothing_lost(self, begin: int, values: np.ndarray, others: Sequence[np.ndarray]) -> None:
        if not others:
            return
        left_out = values == 0
        first, *names = self._source.layer_names
        for name, other in zip(names, others, strict=True):
            rows = np.flatnonzero(((other != 0) & left_out).any(axis=1))
            if len(rows):
                raise InvalidArgumentError(
                    f"layers of a sparse group have their entries at the same places, but row {begin + int(rows[0])} "
                    f"of {name} has values where {first} has zeros; ingest them as two datasets, or into a dense "
                    "feature space"
                )

    def blocks(self) -> Iterator[CsrBlock]:
        begin = 0
        for layers in self._source.blocks():
            end = begin + len(layers[0])
            rows, columns = np.nonzero(layers[0])
            indptr = self.indptr[begin : end + 1] - self.indptr[begin]
            yield CsrBlock(indptr, columns.astype(np.uint32), tuple(values[rows, columns] for values in layers))
            begin = end
