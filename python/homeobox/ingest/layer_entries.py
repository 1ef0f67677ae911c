"""The values of a later layer, in the order in which the group stores its entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from homeobox import _core
from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources import CsrSource, DenseSource, check_columns


@dataclass(frozen=True)
class StoredPattern:
    """Where the entries of a sparse group are.

    Attributes
    ----------
    row_bounds
        int64 [n_rows + 1].
    feature_order
        uint32, stored index -> position in the layout; None: as given.
    """

    indices: _core.Array
    row_bounds: np.ndarray
    n_features: int
    feature_order: np.ndarray | None


def sparse_values(pattern: StoredPattern, matrix: CsrSource, to_layout: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Values of the stored entries, and the number of rows, block by block.

    A stored entry that the matrix lacks is zero there.

    Parameters
    ----------
    to_layout
        uint32 [n_features], column of the matrix -> position in the layout.

    Raises
    ------
    InvalidArgumentError
        The matrix has a value, other than zero, where the group has no entry; names the row. Or a column that the
        group lacks.
    """
    row = 0
    for block in matrix.blocks():
        lengths = np.diff(block.indptr)
        indices = block.indices[block.entries]
        check_columns(indices, pattern.n_features, matrix.name)  # a negative one would be found from the end
        columns = to_layout[indices]
        indices, (values,) = _core.reorder_csr(
            block.indptr - block.indptr[0],
            columns,
            [np.ascontiguousarray(block.layers[0][block.entries])],
            pattern.n_features,
            pattern.feature_order,
        )
        bounds = pattern.row_bounds[row : row + block.n_rows + 1]
        stored = pattern.indices.read([int(bounds[0])], [int(bounds[-1])])
        if not (np.array_equal(lengths, np.diff(bounds)) and np.array_equal(indices, stored)):
            stored_keys = _keys(stored, np.diff(bounds), pattern.n_features)
            values = _matched(
                stored_keys, _keys(indices, lengths, pattern.n_features), values, matrix.name, row, pattern
            )
        yield values, block.n_rows
        row += block.n_rows


def dense_values(matrix: DenseSource, to_layout: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Whole rows with their columns in the order of the layout."""
    from_layout = np.argsort(to_layout)
    for values, *_ in matrix.blocks():
        yield np.ascontiguousarray(values[:, from_layout]), len(values)


def _keys(indices: np.ndarray, lengths: np.ndarray, n_features: int) -> np.ndarray:
    rows = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    return rows * n_features + indices


def _matched(
    stored: np.ndarray, given: np.ndarray, values: np.ndarray, name: str, first_row: int, pattern: StoredPattern
) -> np.ndarray:
    ours, theirs = np.argsort(stored, kind="stable"), np.argsort(given, kind="stable")
    found = np.zeros(len(stored), dtype=values.dtype)
    if np.array_equal(stored[ours], given[theirs]):
        found[ours] = values[theirs]  # also where places repeat: they are matched in their order
        return found
    sorted_given = given[theirs]
    for keys, side in ((stored[ours], "the stored group"), (sorted_given, name)):
        repeated = np.flatnonzero(keys[1:] == keys[:-1])
        if len(repeated):
            raise InvalidArgumentError(
                f"row {first_row + int(keys[repeated[0]]) // pattern.n_features} of {side} has two entries at one "
                f"place, so the entries of {name} cannot be matched to those of the stored group; sum them up first"
            )
    extra = ~np.isin(given, stored) & (values != 0)
    if extra.any():
        row = first_row + int(given[extra].min()) // pattern.n_features
        raise InvalidArgumentError(
            f"{name} has {np.count_nonzero(extra)} value(s) where the stored group has no entry, the first in row "
            f"{row}; a layer has its entries at the places of the others"
        )
    places = np.minimum(np.searchsorted(sorted_given, stored), max(0, len(given) - 1))
    if len(given):
        hit = sorted_given[places] == stored
        found[hit] = values[theirs[places[hit]]]
    return found
