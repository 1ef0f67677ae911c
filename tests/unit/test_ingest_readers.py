"""Sources become plain rows, with stored zeros and repeated entries kept; broken ones are refused."""

from __future__ import annotations

import itertools

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest import readers
from homeobox.ingest.readers import CsrMatrix, DenseMatrix, as_csr, dense_rows, read_matrix

DENSE = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 4]], dtype=np.float32)


def rebuilt(matrix: CsrMatrix) -> sp.csr_matrix:
    return sp.csr_matrix((matrix.data, matrix.indices.astype(np.int64), matrix.indptr), shape=matrix.shape)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.csc_array])
def test_sparse_forms_become_rows(form):
    matrix = read_matrix(anndata.AnnData(form(DENSE)))
    assert isinstance(matrix, CsrMatrix)
    assert matrix.indptr.dtype == np.int64
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(rebuilt(matrix).toarray(), DENSE)


def test_stored_zeros_and_repeats_are_kept():
    source = sp.csr_matrix((np.array([1, 0, 2, 3]), np.array([3, 1, 3, 0]), np.array([0, 3, 3, 4])), shape=(3, 4))
    matrix = read_matrix(anndata.AnnData(source))
    assert isinstance(matrix, CsrMatrix)
    assert matrix.data.tolist() == [1, 0, 2, 3]
    assert matrix.indices.tolist() == [3, 1, 3, 0]


def test_dense_into_rows_and_back(monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_ELEMENTS", 4)  # one row at a time
    dense = read_matrix(anndata.AnnData(DENSE))
    assert isinstance(dense, DenseMatrix)
    csr = as_csr(dense)
    np.testing.assert_array_equal(rebuilt(csr).toarray(), DENSE)
    assert csr.indices.dtype == np.uint32
    np.testing.assert_array_equal(dense_rows(csr, 1, 3), DENSE[1:3])
    np.testing.assert_array_equal(dense_rows(dense, 0, 2), DENSE[0:2])


def test_views_are_read_as_what_they_show():
    adata = anndata.AnnData(sp.csr_matrix(DENSE))[[2, 0], [3, 1]]
    matrix = read_matrix(adata)
    assert isinstance(matrix, CsrMatrix)
    np.testing.assert_array_equal(rebuilt(matrix).toarray(), DENSE[[2, 0]][:, [3, 1]])


@pytest.mark.parametrize("entries", [1, 2, 3, 100])
def test_row_blocks_cover_every_row_once(monkeypatch, entries):
    monkeypatch.setattr(readers, "BLOCK_ELEMENTS", entries)
    matrix = read_matrix(anndata.AnnData(sp.csr_matrix(DENSE)))
    blocks = list(matrix.row_blocks())
    assert blocks[0][0] == 0
    assert blocks[-1][1] == 3
    assert all(a[1] == b[0] for a, b in itertools.pairwise(blocks))
    assert all(begin < end for begin, end in blocks)


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        (sp.csr_matrix(DENSE.astype(bool)), "uint8"),
        (sp.csr_matrix(DENSE.astype(np.int8)), "int8"),
        (sp.csr_matrix(DENSE.astype(np.uint64)), "uint64"),
        (DENSE.astype(">f4"), "float32"),
        (DENSE.astype(np.float16), "float32"),
    ],
)
def test_values_keep_their_type_in_native_order(source, stored):
    matrix = read_matrix(anndata.AnnData(source))
    assert matrix.dtype == np.dtype(stored)
    values = rebuilt(matrix).toarray() if isinstance(matrix, CsrMatrix) else matrix.values
    np.testing.assert_array_equal(values, source.toarray() if sp.issparse(source) else source)


def broken(**changes: object) -> anndata.AnnData:
    source = sp.csr_matrix(DENSE)
    for name, value in changes.items():
        setattr(source, name, value)
    adata = anndata.AnnData(sp.csr_matrix(DENSE))
    adata._X = source
    return adata


@pytest.mark.parametrize(
    ("adata", "error", "message"),
    [
        (anndata.AnnData(obs={"a": [1, 2]}), InvalidArgumentError, "adata.X is None"),
        (anndata.AnnData(np.zeros((0, 3), np.float32)), InvalidArgumentError, "no cells"),
        (anndata.AnnData(np.zeros((3, 0), np.float32)), InvalidArgumentError, "no features"),
        (broken(indices=np.array([1, 3, 0, 4])), InvalidArgumentError, "column indices from 0 to 4, expected 0 to 3"),
        (broken(indices=np.array([1, -1, 0, 3])), InvalidArgumentError, "column indices from -1 to 3"),
        (broken(indptr=np.array([0, 3, 2, 4])), InvalidArgumentError, "indptr does not describe 3 rows"),
        (broken(indptr=np.array([0, 2, 2, 9])), InvalidArgumentError, "promises 9 entries, found 4"),
        (anndata.AnnData(DENSE.astype(np.complex64)), InvalidArgumentError, "holds complex64"),
    ],
)
def test_broken_sources_are_refused(adata, error, message):
    with pytest.raises(error, match=message):
        read_matrix(adata)


def test_backed_is_refused(tmp_path):
    path = tmp_path / "a.h5ad"
    anndata.AnnData(sp.csr_matrix(DENSE)).write_h5ad(path)
    backed = anndata.read_h5ad(path, backed="r")
    with pytest.raises(UnsupportedError, match=r"backed by the file .*a\.h5ad.*to_memory"):
        read_matrix(backed)


def test_half_precision_is_widened_exactly():
    values = np.array([[0.5, 65504.0]], dtype=np.float16)
    read = read_matrix(anndata.AnnData(values)).values
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values)
