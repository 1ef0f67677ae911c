"""Several matrices of the same cells and features as the layers of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.dense_as_rows import DenseAsRows
from homeobox.ingest.sources.matrix import CsrBlock, CsrSource, DenseSource


def stack_layers(sources: Sequence[CsrSource | DenseSource]) -> CsrSource | DenseSource:
    """One source with the layers of all, in order.

    Raises
    ------
    InvalidArgumentError
        They differ in shape or in the number of entries of a row. That the entries are at the same places is checked
        while they are read.
    """
    first = sources[0]
    if len(sources) == 1:
        return first
    for other in sources[1:]:
        if other.shape != first.shape:
            raise InvalidArgumentError(
                f"layers of one group have one shape, but {first.name} is {first.shape[0]} x {first.shape[1]} and "
                f"{other.name} is {other.shape[0]} x {other.shape[1]}"
            )
    dense = [source for source in sources if isinstance(source, DenseSource)]
    if len(dense) == len(sources):
        return StackedDense(dense)
    return StackedRows([DenseAsRows(source) if isinstance(source, DenseSource) else source for source in sources])


class StackedRows(CsrSource):
    """Sparse layers: their entries are at the same places, in the order of the first."""

    def __init__(self, sources: Sequence[CsrSource]) -> None:
        first = sources[0]
        self._sources = sources
        self.name = first.name
        self.shape = first.shape
        self.indptr = first.indptr
        self.dtypes = tuple(dtype for source in sources for dtype in source.dtypes)
        for other in sources[1:]:
            differing = np.flatnonzero(np.diff(first.indptr) != np.diff(other.indptr))
            if len(differing):
                row = int(differing[0])
                counts = [int(np.diff(source.indptr[row : row + 2])[0]) for source in (first, other)]
                raise InvalidArgumentError(
                    f"layers of a sparse group have their entries at the same places, but row {row} of {first.name} "
                    f"has {counts[0]} entries and of {other.name} {counts[1]}; ingest them as two datasets"
                )

    def blocks(self) -> Iterator[CsrBlock]:
        first, *others = self._sources
        readers = [_RowReader(source) for source in others]
        for block in first.blocks():
            indices = block.indices[block.entries]
            layers = [values[block.entries] for values in block.layers]
            indptr = block.indptr - block.indptr[0]
            for reader, source in zip(readers, others, strict=True):
                other_indices, other_layers = reader.read(block.n_rows)
                layers += _aligned(first, source, indptr, indices, other_indices, other_layers)
            yield CsrBlock(indptr, indices, tuple(layers))
        for reader in readers:
            reader.finish()


class StackedDense(DenseSource):
    """Dense layers."""

    def __init__(self, sources: Sequence[DenseSource]) -> None:
        self._sources = sources
        self.name = sources[0].name
        self.shape = sources[0].shape
        self.dtypes = tuple(dtype for source in sources for dtype in source.dtypes)

    @property
    def layer_names(self) -> tuple[str, ...]:
        return tuple(name for source in self._sources for name in source.layer_names)

    def blocks(self) -> Iterator[tuple[np.ndarray, ...]]:
        first, *others = self._sources
        streams = [_DenseReader(source) for source in others]
        for layers in first.blocks():
            yield (*layers, *(values for stream in streams for values in stream.read(len(layers[0]))))


class _RowReader:
    """Any number of rows at a time from a source that has blocks of its own."""

    def __init__(self, source: CsrSource) -> None:
        self._blocks = source.blocks()
        self._block: CsrBlock | None = None
        self._row = 0

    def read(self, n_rows: int) -> tuple[np.ndarray, list[np.ndarray]]:
        indices: list[np.ndarray] = []
        layers: list[list[np.ndarray]] = []
        while n_rows:
            if self._block is None or self._row == self._block.n_rows:
                self._block, self._row = next(self._blocks), 0
            taken = min(n_rows, self._block.n_rows - self._row)
            indptr = self._block.indptr
            entries = slice(int(indptr[self._row]), int(indptr[self._row + taken]))
            self._row += taken
            n_rows -= taken
            kept = np.copy if n_rows else np.asarray  # a block is gone when the next one is asked for
            indices.append(kept(self._block.indices[entries]))
            layers.append([kept(values[entries]) for values in self._block.layers])
        return _joined(indices), [_joined(parts) for parts in zip(*layers, strict=True)]

    def finish(self) -> None:
        """After the last row: a source that remembers what it gave does so once it was read to its end."""
        next(self._blocks, None)


class _DenseReader:
    """As `_RowReader`, of whole rows."""

    def __init__(self, source: DenseSource) -> None:
        self._blocks = source.blocks()
        self._block: tuple[np.ndarray, ...] = ()
        self._row = 0

    def read(self, n_rows: int) -> list[np.ndarray]:
        layers: list[list[np.ndarray]] = []
        while n_rows:
            if not self._block or self._row == len(self._block[0]):
                self._block, self._row = next(self._blocks), 0
            taken = min(n_rows, len(self._block[0]) - self._row)
            rows = slice(self._row, self._row + taken)
            self._row += taken
            n_rows -= taken
            kept = np.copy if n_rows else np.asarray
            layers.append([kept(values[rows]) for values in self._block])
        return [_joined(parts) for parts in zip(*layers, strict=True)]


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _aligned(
    first: CsrSource,
    other: CsrSource,
    indptr: np.ndarray,
    indices: np.ndarray,
    other_indices: np.ndarray,
    layers: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """`layers` in the order of the entries of `first`: as they are, or matched by column inside each row."""
    if np.array_equal(indices, other_indices):
        return list(layers)
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    # lexsort is stable, so repeated entries are matched in their order.
    ours, theirs = np.lexsort((indices, rows)), np.lexsort((other_indices, rows))
    if not np.array_equal(indices[ours], other_indices[theirs]):
        raise InvalidArgumentError(
            f"layers of a sparse group have their entries at the same places, but {first.name} and {other.name} have "
            "them at different ones; ingest them as two datasets"
        )
    places = np.empty_like(ours)
    places[ours] = theirs
    return [values[places] for values in layers]
