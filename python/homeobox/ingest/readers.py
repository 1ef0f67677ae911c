"""The matrix of a source, brought into one of two plain forms before anything is checked or written.

A reader knows where the values come from and nothing about atlases. What holds afterwards: a `CsrMatrix` has row
boundaries that fit its arrays and columns inside the matrix; a `DenseMatrix` is two-dimensional. Stored zeros and
repeated entries stay as they are, since the answers of a query must equal the source as SciPy sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox.errors import InvalidArgumentError, UnsupportedError

if TYPE_CHECKING:
    import anndata

# Elements handled at once when a matrix passes through a conversion; bounds the temporaries to some 50 MB.
BLOCK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class CsrMatrix:
    """Compressed sparse rows: row i holds entries ``indptr[i] .. indptr[i + 1]``."""

    indptr: np.ndarray  # int64 [n_rows + 1], starts at 0
    indices: np.ndarray  # any integer type, columns
    data: np.ndarray
    shape: tuple[int, int]

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    def row_blocks(self) -> Iterator[tuple[int, int]]:
        """Row ranges of about `BLOCK_ELEMENTS` entries each, in order."""
        n_rows = self.shape[0]
        begin = 0
        while begin < n_rows:
            target = int(self.indptr[begin]) + BLOCK_ELEMENTS
            end = int(np.searchsorted(self.indptr, target, side="right")) - 1
            end = min(max(end, begin + 1), n_rows)
            yield begin, end
            begin = end


@dataclass(frozen=True)
class DenseMatrix:
    """A plain two-dimensional array, rows are cells."""

    values: np.ndarray

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape[0], self.values.shape[1]

    def row_blocks(self) -> Iterator[tuple[int, int]]:
        n_rows, n_columns = self.shape
        step = max(1, BLOCK_ELEMENTS // max(1, n_columns))
        for begin in range(0, n_rows, step):
            yield begin, min(begin + step, n_rows)


def read_matrix(adata: anndata.AnnData) -> CsrMatrix | DenseMatrix:
    """The `X` of an AnnData in memory; the source is not changed.

    Raises
    ------
    UnsupportedError
        The AnnData is backed by a file, or `X` is of a kind that is not handled.
    InvalidArgumentError
        There is no `X`, it has no cells or no features, or its arrays contradict each other.
    """
    if getattr(adata, "isbacked", False):
        raise UnsupportedError(
            f"adata is backed by the file {adata.filename}; only an AnnData in memory is ingested: "
            "pass adata.to_memory()"
        )
    matrix = adata.X
    if matrix is None:
        raise InvalidArgumentError("adata.X is None; there is nothing to ingest")
    n_rows, n_columns = matrix.shape
    if n_rows == 0:
        raise InvalidArgumentError("adata has no cells (n_obs is 0)")
    if n_columns == 0:
        raise InvalidArgumentError("adata has no features (n_vars is 0)")
    if _is_sparse(matrix):
        return _read_sparse(matrix)
    if isinstance(matrix, np.ma.MaskedArray) or not isinstance(matrix, np.ndarray):
        raise UnsupportedError(
            f"adata.X is a {type(matrix).__module__}.{type(matrix).__name__}; "
            "expected a NumPy array or a SciPy sparse matrix"
        )
    return DenseMatrix(_plain_values(np.asarray(matrix)))


def as_csr(matrix: CsrMatrix | DenseMatrix) -> CsrMatrix:
    """Rows without their zeros, for a dense source that goes into a sparse feature space."""
    if isinstance(matrix, CsrMatrix):
        return matrix
    n_rows, n_columns = matrix.shape
    lengths = np.zeros(n_rows, dtype=np.int64)
    indices, data = [], []
    for begin, end in matrix.row_blocks():
        block = matrix.values[begin:end]
        rows, columns = np.nonzero(block)
        lengths[begin:end] = np.bincount(rows, minlength=end - begin)
        indices.append(columns.astype(np.uint32))
        data.append(block[rows, columns])
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return CsrMatrix(indptr, np.concatenate(indices), np.concatenate(data), (n_rows, n_columns))


def dense_rows(matrix: CsrMatrix | DenseMatrix, begin: int, end: int) -> np.ndarray:
    """Rows ``[begin, end)`` as a dense block; repeated entries of a sparse source are summed."""
    if isinstance(matrix, DenseMatrix):
        return np.ascontiguousarray(matrix.values[begin:end])
    first, last = int(matrix.indptr[begin]), int(matrix.indptr[end])
    block = np.zeros((end - begin, matrix.shape[1]), dtype=matrix.dtype)
    rows = np.repeat(np.arange(end - begin), np.diff(matrix.indptr[begin : end + 1]))
    np.add.at(block, (rows, matrix.indices[first:last]), matrix.data[first:last])
    return block


def _is_sparse(matrix: Any) -> bool:
    import scipy.sparse

    return bool(scipy.sparse.issparse(matrix))


def _read_sparse(matrix: Any) -> CsrMatrix:
    csr = matrix.tocsr()
    n_rows, n_columns = csr.shape
    indptr = np.asarray(csr.indptr, dtype=np.int64)
    if len(indptr) != n_rows + 1 or indptr[0] != 0 or bool(np.any(np.diff(indptr) < 0)):
        raise InvalidArgumentError(
            f"adata.X: indptr does not describe {n_rows} rows (it must hold {n_rows + 1} ascending values from 0)"
        )
    n_entries = int(indptr[-1])
    if len(csr.indices) < n_entries or len(csr.data) < n_entries:
        raise InvalidArgumentError(
            f"adata.X: indptr promises {n_entries} entries, found {len(csr.indices)} indices and {len(csr.data)} values"
        )
    indices = np.ascontiguousarray(csr.indices[:n_entries])
    if n_entries and (int(indices.min()) < 0 or int(indices.max()) >= n_columns):
        raise InvalidArgumentError(
            f"adata.X: column indices from {int(indices.min())} to {int(indices.max())}, expected 0 to {n_columns - 1}"
        )
    return CsrMatrix(indptr, indices, _plain_values(csr.data[:n_entries]), (n_rows, n_columns))


def _plain_values(values: np.ndarray) -> np.ndarray:
    """Native byte order; truth values become 0 and 1, since 0.2.2 reads no bool arrays; float16 becomes float32."""
    dtype = values.dtype
    if dtype.kind == "b":
        return values.view(np.uint8)
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise InvalidArgumentError(f"adata.X holds {dtype}, expected integers or floats of at most 64 bits")
    if dtype.kind == "f" and dtype.itemsize == 2:
        return values.astype(np.float32)  # exact, and no reader of ours or of 0.2.2 knows half precision
    return np.ascontiguousarray(values, dtype=dtype.newbyteorder("="))
