"""Any small matrix, in any format and type that an ingest reads, gives the rows that SciPy sees."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from source_files import FORMATS, SPARSE_FORMATS, as_anndata

from homeobox.ingest.sources import CsrSource, DenseAsRows, Reading, RowsAsDense, open_source
from homeobox.ingest.survey import survey_rows

DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "bool"]
MEMORY = {
    "CSR": lambda matrix: matrix,
    "CSR array": sp.csr_array,
    "CSC": lambda matrix: matrix.tocsc(),
    "dense": lambda matrix: matrix.toarray(),
    "dense, by columns": lambda matrix: np.asfortranarray(matrix.toarray()),
}
# 10x text holds whole numbers of 32 bits or decimal ones, and scipy writes no truth values.
TEXT_DTYPES = {"int8", "int16", "int32", "uint8", "uint16", "float64"}


@st.composite
def matrices(draw: st.DrawFn, dtypes: list[str] = DTYPES) -> sp.csr_matrix:
    """Rows out of order, with stored zeros and repeated places."""
    n_rows, n_columns = draw(st.integers(1, 9)), draw(st.integers(1, 7))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    entry = st.tuples(st.integers(0, n_rows - 1), st.integers(0, n_columns - 1), st.integers(0, 100))
    entries = sorted(draw(st.lists(entry, min_size=1, max_size=40)), key=lambda item: item[0])
    rows, columns, values = (np.array(part) for part in zip(*entries, strict=True))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
    scaled = values.astype(dtype) if dtype.kind != "f" else (values / 4).astype(dtype)
    matrix = sp.csr_matrix((scaled, columns.astype(np.int32), indptr), shape=(n_rows, n_columns))
    if dtype.kind == "b":
        matrix.sum_duplicates()  # two truths are one truth to SciPy, and two to whoever counts them
    return matrix


def rows_of(source: CsrSource) -> sp.csr_matrix:
    parts = [
        (block.indices[block.entries].astype(np.int64), block.layers[0][block.entries].copy())
        for block in source.blocks()
    ]
    indices, data = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sp.csr_matrix((data, indices, source.indptr), shape=source.shape)


def stored(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def check(given, matrix: sp.csr_matrix, memory: int, folder: Path, exact: bool, dtype: np.dtype) -> None:
    with open_source(given, Reading(memory, str(folder))) as opened:
        source = opened.matrix("X")
        rows = source if isinstance(source, CsrSource) else DenseAsRows(source)
        assert rows.dtype == stored(dtype)
        expected = matrix.astype(np.float64).toarray()
        for _ in range(2):  # as often as it is asked for
            found = rows_of(rows)
            np.testing.assert_array_equal(found.astype(np.float64).toarray(), expected)
            if exact:
                assert found.data.tolist() == matrix.data.tolist()
                assert found.indices.tolist() == matrix.indices.tolist()
        if rows.n_entries:
            totals = survey_rows(rows, ["tpm"])
            np.testing.assert_allclose(totals, expected.sum(axis=0))
        if not exact:  # sums of repeats in a small type wrap, there and in SciPy
            whole = np.concatenate([block[0] for block in RowsAsDense(rows).blocks()])
            np.testing.assert_array_equal(whole, expected)


BUDGETS = st.sampled_from([1, 1 << 20, 1 << 30])


@settings(max_examples=60)
@given(matrices(), st.sampled_from(sorted(MEMORY)), BUDGETS)
def test_in_memory(matrix, form, memory):
    with tempfile.TemporaryDirectory() as name:
        exact = form.startswith("CSR")
        if not exact:
            matrix.sum_duplicates()
        given_matrix = as_anndata(matrix)
        given_matrix._X = MEMORY[form](matrix)  # as it is, without the checks of AnnData
        check(given_matrix, matrix, memory, Path(name), exact, matrix.dtype)


@settings(max_examples=100)
@given(st.data(), st.sampled_from(sorted(FORMATS)), BUDGETS)
def test_files(data, form, memory):
    text = "folder" in form
    matrix = data.draw(matrices(sorted(TEXT_DTYPES) if text else DTYPES))
    exact = form in SPARSE_FORMATS
    if not exact:
        matrix.sum_duplicates()
    dtype = matrix.dtype if not text or matrix.dtype.kind == "f" else np.dtype(np.int32)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        check(FORMATS[form](matrix, folder), matrix, memory, folder, exact, dtype)
