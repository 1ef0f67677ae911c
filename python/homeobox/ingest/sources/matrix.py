"""What a source promises: its shape, the types of its layers, and its rows in blocks, as often as they are asked for.

A source knows where values come from and nothing about atlases. There are two kinds, rows without zeros and whole
rows; `DenseAsRows` and `RowsAsDense` make one of the other. Stored zeros and repeated entries of a sparse source stay
as they are, since the answers of a query must equal the source as SciPy sees it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from homeobox import _core
from homeobox.errors import InvalidArgumentError

#: Elements handled at once where the budget does not ask for less; bounds the temporaries to some 50 MB.
BLOCK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class CsrBlock:
    """Consecutive rows: entries of row i are ``indptr[i] .. indptr[i + 1]`` of the arrays, which may hold others too.

    Attributes
    ----------
    indptr
        int64 [n_rows + 1], ascending; need not begin at 0.
    indices
        Columns, any integer type.
    layers
        Values of each layer, in native byte order.
    """

    indptr: np.ndarray
    indices: np.ndarray
    layers: tuple[np.ndarray, ...]

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def entries(self) -> slice:
        return slice(int(self.indptr[0]), int(self.indptr[-1]))

    @property
    def wide_indices(self) -> np.ndarray:
        """`indices` in 32 or 64 bits, which is what the core takes."""
        return self.indices if self.indices.dtype.itemsize >= 4 else self.indices.astype(np.uint32)


@dataclass(frozen=True)
class CsrEntries:
    """A :class:`CsrBlock` whose arrays may still be in a file. Indices have 32 or 64 bits.

    A block stays valid until the next one is asked for.
    """

    indptr: np.ndarray
    indices: np.ndarray | _core.FileArray
    layers: tuple[np.ndarray | _core.FileArray, ...]

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    def read(self) -> CsrBlock:
        """The arrays in memory, of these entries alone."""
        begin, end = int(self.indptr[0]), int(self.indptr[-1])
        arrays = (_read(array, begin, end) for array in (self.indices, *self.layers))
        return CsrBlock(self.indptr - self.indptr[0], next(arrays), tuple(arrays))


def _read(array: np.ndarray | _core.FileArray, begin: int, end: int) -> np.ndarray:
    if isinstance(array, np.ndarray):
        return array[begin:end]
    values = np.empty(end - begin, dtype=array.dtype)
    array.read_into(begin, values)
    return values


class MatrixSource(ABC):
    """A cells x features matrix of one or several layers.

    Attributes
    ----------
    name
        What the user calls it, for messages: "adata.X", "pbmc.h5ad: layers/counts".
    """

    name: str
    shape: tuple[int, int]
    dtypes: tuple[np.dtype, ...]

    @property
    def dtype(self) -> np.dtype:
        """Of the first layer."""
        return self.dtypes[0]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """What the user calls each layer, for messages."""
        return (self.name,) * len(self.dtypes)


class CsrSource(MatrixSource):
    """Rows without zeros.

    Attributes
    ----------
    indptr
        int64 [n_rows + 1], ascending from 0: where the entries of each row begin in the whole matrix.
    """

    indptr: np.ndarray

    @property
    def n_entries(self) -> int:
        return int(self.indptr[-1])

    @abstractmethod
    def blocks(self) -> Iterator[CsrBlock]:
        """All rows in order. A block stays valid until the next one is asked for."""

    def entry_blocks(self) -> Iterator[CsrEntries]:
        """The same rows for the core, which reads what lies in a file itself, on all threads."""
        for block in self.blocks():
            yield CsrEntries(block.indptr, block.wide_indices, block.layers)


class DenseSource(MatrixSource):
    """Whole rows."""

    @abstractmethod
    def blocks(self) -> Iterator[tuple[np.ndarray, ...]]:
        """All rows in order: for each layer an array [rows of this block, n_features], C order."""


def row_ranges(indptr: np.ndarray, block_elements: int) -> Iterator[tuple[int, int]]:
    """Half-open row ranges of about `block_elements` entries each, at least one row, in order."""
    n_rows = len(indptr) - 1
    begin = 0
    while begin < n_rows:
        target = int(indptr[begin]) + block_elements
        end = int(np.searchsorted(indptr, target, side="right")) - 1
        end = min(max(end, begin + 1), n_rows)
        yield begin, end
        begin = end


def check_shape(name: str, shape: tuple[int, int]) -> None:
    """Refuse a matrix without cells or features.

    Raises
    ------
    InvalidArgumentError
        Says which there are none of.
    """
    if shape[0] == 0:
        raise InvalidArgumentError(f"{name} has no cells; there is nothing to ingest")
    if shape[1] == 0:
        raise InvalidArgumentError(f"{name} has no features; there is nothing to ingest")


def check_row_bounds(name: str, indptr: np.ndarray, n_rows: int, n_indices: int, n_values: int) -> None:
    """Refuse row boundaries that do not describe the rows, or promise more entries than there are.

    Raises
    ------
    InvalidArgumentError
        Says what was expected and what was found.
    """
    if len(indptr) != n_rows + 1 or indptr[0] != 0 or bool(np.any(np.diff(indptr) < 0)):
        raise InvalidArgumentError(
            f"{name}: indptr does not describe {n_rows} rows (it must hold {n_rows + 1} ascending values from 0, "
            f"found {len(indptr)}); is it stored by columns and declared as rows?"
        )
    n_entries = int(indptr[-1])
    if n_indices < n_entries or n_values < n_entries:
        raise InvalidArgumentError(
            f"{name}: indptr promises {n_entries} entries, found {n_indices} indices and {n_values} values"
        )


def stored_dtype(dtype: np.dtype, name: str) -> np.dtype:
    """How values are stored: in native byte order; truth values as 0 and 1, since 0.2.2 reads no bool arrays; float16
    as float32, which is exact, and no reader of ours or of 0.2.2 knows half precision.

    Raises
    ------
    InvalidArgumentError
        Neither integers nor floats, or of more than 64 bits.
    """
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise InvalidArgumentError(f"{name} holds {dtype}, expected integers or floats of at most 64 bits")
    if dtype.kind == "f" and dtype.itemsize == 2:
        return np.dtype(np.float32)
    return dtype.newbyteorder("=")


def plain_values(values: np.ndarray, name: str) -> np.ndarray:
    """`values` as `stored_dtype`, C order; no copy where none is needed. Errors as `stored_dtype`."""
    dtype = stored_dtype(values.dtype, name)
    if values.dtype.kind == "b":
        return np.ascontiguousarray(values).view(dtype)
    return np.ascontiguousarray(values, dtype=dtype)


def check_columns(columns: np.ndarray, n_features: int, name: str) -> None:
    """Refuse entries that lie outside the matrix.

    Raises
    ------
    InvalidArgumentError
        Gives the lowest and the highest column.
    """
    if not columns.size:
        return
    lowest, highest = int(columns.min()), int(columns.max())
    if lowest < 0 or highest >= n_features:
        raise InvalidArgumentError(f"{name}: column indices from {lowest} to {highest}, expected 0 to {n_features - 1}")
