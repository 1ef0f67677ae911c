"""Sources: where the matrix of a dataset comes from, as rows in bounded memory that can be read more than once."""

from homeobox.ingest.sources.dense_as_rows import DenseAsRows
from homeobox.ingest.sources.entries_as_rows import EntriesAsRows
from homeobox.ingest.sources.in_memory import CsrMatrix, DenseMatrix, matrix_in_memory
from homeobox.ingest.sources.matrix import CsrBlock, CsrSource, DenseSource, MatrixSource, check_columns, row_ranges
from homeobox.ingest.sources.named_frame import with_columns
from homeobox.ingest.sources.opened import OpenedSource, SourceDataset, read_dataset
from homeobox.ingest.sources.opening import open_source
from homeobox.ingest.sources.reading import Reading
from homeobox.ingest.sources.rows_as_dense import RowsAsDense
from homeobox.ingest.sources.scratch_array import ScratchArray
from homeobox.ingest.sources.selected_features import select_feature_type
from homeobox.ingest.sources.stacked_layers import stack_layers
from homeobox.ingest.sources.text_entries import TextEntries

__all__ = [
    "CsrBlock",
    "CsrMatrix",
    "CsrSource",
    "DenseAsRows",
    "DenseMatrix",
    "DenseSource",
    "EntriesAsRows",
    "MatrixSource",
    "OpenedSource",
    "Reading",
    "RowsAsDense",
    "ScratchArray",
    "SourceDataset",
    "TextEntries",
    "check_columns",
    "matrix_in_memory",
    "open_source",
    "read_dataset",
    "row_ranges",
    "select_feature_type",
    "stack_layers",
    "with_columns",
]
