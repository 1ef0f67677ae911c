"""Part of the features of a source, such as the genes of a file that holds proteins too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.matrix import CsrBlock, CsrSource, DenseSource, check_columns
from homeobox.ingest.sources.opened import SourceDataset

_COLUMN = "feature_types"  # as scanpy calls what 10x calls feature_type


def select_feature_type(source: SourceDataset, feature_type: str | None) -> SourceDataset:
    """The features of one type, by ``var["feature_types"]``; None takes all.

    Raises
    ------
    InvalidArgumentError
        There is no such column, or no feature of the type; lists the types.
    """
    if feature_type is None:
        return source
    if _COLUMN not in source.var.columns:
        raise InvalidArgumentError(
            f"feature_type: var of {source.name} has no column '{_COLUMN}', it has {list(source.var.columns)}"
        )
    kept = np.flatnonzero((source.var[_COLUMN] == feature_type).to_numpy())
    if not len(kept):
        types = sorted(source.var[_COLUMN].astype(str).unique())
        raise InvalidArgumentError(f"{source.name} has no features of the type {feature_type!r}, its types are {types}")
    if len(kept) == len(source.var):
        return source
    matrix = source.matrix
    selected = SelectedRows(matrix, kept) if isinstance(matrix, CsrSource) else SelectedDense(matrix, kept)
    return replace(source, matrix=selected, var=source.var.iloc[kept])


class SelectedRows(CsrSource):
    """Sparse rows with some of their columns. Reads the source once when it is made, to count their entries."""

    def __init__(self, source: CsrSource, kept: np.ndarray) -> None:
        self._source = source
        self.name = source.name
        self.shape = (source.shape[0], len(kept))
        self.dtypes = source.dtypes
        self._column_of = np.full(source.shape[1], -1, dtype=np.int64)
        self._column_of[kept] = np.arange(len(kept))
        lengths = [np.diff(self._bounds(block, self._columns(block) >= 0)) for block in source.blocks()]
        self.indptr = np.concatenate([[0], *lengths]).cumsum(dtype=np.int64)

    def blocks(self) -> Iterator[CsrBlock]:
        for block in self._source.blocks():
            columns = self._columns(block)
            wanted = columns >= 0
            layers = tuple(values[block.entries][wanted] for values in block.layers)
            yield CsrBlock(self._bounds(block, wanted), columns[wanted].astype(np.uint32), layers)

    def _columns(self, block: CsrBlock) -> np.ndarray:
        """Of each entry; -1 for those that are left out."""
        columns = block.indices[block.entries]
        check_columns(columns, self._source.shape[1], self.name)
        return self._column_of[columns]

    @staticmethod
    def _bounds(block: CsrBlock, wanted: np.ndarray) -> np.ndarray:
        before = np.concatenate([[0], np.cumsum(wanted, dtype=np.int64)])
        return before[block.indptr - block.indptr[0]]


class SelectedDense(DenseSource):
    """Whole rows with some of their columns."""

    def __init__(self, source: DenseSource, kept: np.ndarray) -> None:
        self._source = source
        self._kept = kept
        self.name = source.name
        self.shape = (source.shape[0], len(kept))
        self.dtypes = source.dtypes

    @property
    def layer_names(self) -> tuple[str, ...]:
        return self._source.layer_names

    def blocks(self) -> Iterator[tuple[np.ndarray, ...]]:
        for layers in self._source.blocks():
            yield tuple(np.ascontiguousarray(values[:, self._kept]) for values in layers)
