"""Matrices that are in memory already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest.sources.columns_as_rows import ColumnsAsRows
from homeobox.ingest.sources.columns_in_memory import ColumnsInMemory, ascend
from homeobox.ingest.sources.matrix import (
    BLOCK_ELEMENTS,
    CsrBlock,
    CsrSource,
    DenseSource,
    check_row_bounds,
    check_shape,
    plain_values,
    row_ranges,
)
from homeobox.ingest.sources.reading import Reading


class CsrMatrix(CsrSource):
    """Compressed sparse rows: row i holds entries ``indptr[i] .. indptr[i + 1]``; no copy is made of them."""

    def __init__(
        self,
        indptr: np.ndarray,
        indices: np.ndarray,
        data: np.ndarray,
        shape: tuple[int, int],
        name: str = "matrix",
        block_elements: int = BLOCK_ELEMENTS,
    ) -> None:
        self.name = name
        self.shape = shape
        self.indptr = indptr
        self.indices = indices
        self.data = data
        self.dtypes = (data.dtype,)
        self._block_elements = block_elements

    def blocks(self) -> Iterator[CsrBlock]:
        for begin, end in row_ranges(self.indptr, self._block_elements):
            yield CsrBlock(self.indptr[begin : end + 1], self.indices, (self.data,))


class DenseMatrix(DenseSource):
    """A plain two-dimensional array, rows are cells."""

    def __init__(self, values: np.ndarray, name: str = "matrix", block_elements: int = BLOCK_ELEMENTS) -> None:
        self.name = name
        self.shape = (values.shape[0], values.shape[1])
        self.values = values
        self.dtypes = (values.dtype,)
        self._step = max(1, block_elements // max(1, values.shape[1]))

    def blocks(self) -> Iterator[tuple[np.ndarray, ...]]:
        for begin in range(0, self.shape[0], self._step):
            yield (np.ascontiguousarray(self.values[begin : begin + self._step]),)


def matrix_in_memory(
    matrix: Any, name: str, block_elements: int = BLOCK_ELEMENTS, reading: Reading | None = None
) -> CsrSource | DenseMatrix:
    """A NumPy array, or a SciPy sparse matrix or array of any format, as a source; it is not changed.

    Parameters
    ----------
    block_elements
        Of the blocks of a dense matrix.
    reading
        Bounds a copy that is made of columns; nothing does without one.

    Raises
    ------
    UnsupportedError
        Of a kind that is not handled.
    InvalidArgumentError
        No cells or no features, values that are no numbers, or arrays that contradict each other.

    Notes
    -----
    Formats other than CSR are converted, which takes memory for a second copy; of CSC only where half of the budget
    holds one.
    """
    import scipy.sparse

    if matrix is None:
        raise InvalidArgumentError(f"{name} is None; there is nothing to ingest")
    if not scipy.sparse.issparse(matrix):
        if isinstance(matrix, np.ma.MaskedArray) or not isinstance(matrix, np.ndarray):
            raise UnsupportedError(
                f"{name} is a {type(matrix).__module__}.{type(matrix).__name__}; "
                "expected a NumPy array or a SciPy sparse matrix"
            )
        check_shape(name, matrix.shape)
        return DenseMatrix(plain_values(np.asarray(matrix), name), name, block_elements)
    check_shape(name, matrix.shape)
    if matrix.format == "csc" and reading is not None:
        copied_bytes = matrix.nnz * (matrix.indices.itemsize + matrix.data.itemsize)
        if copied_bytes > reading.memory_bytes // 2:
            return _columns_as_rows(matrix, name, reading)
    csr = matrix.tocsr()
    n_rows, n_columns = csr.shape
    indptr = np.asarray(csr.indptr, dtype=np.int64)
    check_row_bounds(name, indptr, n_rows, len(csr.indices), len(csr.data))
    n_entries = int(indptr[-1])
    indices = np.ascontiguousarray(csr.indices[:n_entries])
    data = plain_values(csr.data[:n_entries], name)
    # Its blocks are views, so they may be as large as is best for the threads that share one.
    return CsrMatrix(indptr, indices, data, (n_rows, n_columns), name)


def _columns_as_rows(matrix: Any, name: str, reading: Reading) -> CsrSource:
    n_rows, n_columns = matrix.shape
    bounds = np.asarray(matrix.indptr, dtype=np.int64)
    check_row_bounds(name, bounds, n_columns, len(matrix.indices), len(matrix.data))
    rows = matrix.indices[: bounds[-1]]
    values = plain_values(matrix.data[: bounds[-1]], name)
    if ascend(rows, bounds):
        return ColumnsInMemory(bounds, rows, values, (n_rows, n_columns), name, reading)
    return ColumnsAsRows(CsrMatrix(bounds, rows, values, (n_columns, n_rows), name, reading.block_elements), reading)
