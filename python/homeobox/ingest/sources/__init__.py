"""Sources: where the matrix of a dataset comes from, as rows in bounded memory that can be read more than once."""

from homeobox.ingest.sources.dense_as_rows import DenseAsRows
from homeobox.ingest.sources.in_memory import CsrMatrix, DenseMatrix, matrix_in_memory
from homeobox.ingest.sources.matrix import CsrBlock, CsrSource, DenseSource, MatrixSource, check_columns
from homeobox.ingest.sources.rows_as_dense import RowsAsDense

__all__ = [
    "CsrBlock",
    "CsrMatrix",
    "CsrSource",
    "DenseAsRows",
    "DenseMatrix",
    "DenseSource",
    "MatrixSource",
    "RowsAsDense",
    "check_columns",
    "matrix_in_memory",
]
