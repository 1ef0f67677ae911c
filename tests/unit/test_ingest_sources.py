"""Sources become plain rows, with stored zeros and repeated entries kept; broken ones are refused."""

from __future__ import annotations

import os
import tracemalloc

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import source_files

from homeobox import _core
from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources import (
    CsrMatrix,
    CsrSource,
    DenseAsRows,
    DenseMatrix,
    Reading,
    RowsAsDense,
    matrix_in_memory,
    open_source,
)
from homeobox.ingest.sources.hdf5_array import Hdf5Array
from homeobox.ingest.sources.hdf5_matrix import Hdf5Dense, hdf5_matrix
from homeobox.ingest.survey import survey_rows

DENSE = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 4]], dtype=np.float32)


def read_matrix(adata: anndata.AnnData, block_elements: int = 1 << 22):
    return matrix_in_memory(adata.X, "adata.X", block_elements)


def rebuilt(matrix: CsrSource, layer: int = 0) -> sp.csr_matrix:
    """What the blocks of a source add up to, entry by entry."""
    parts = [  # copies, since a block is gone when the next one is asked for
        (
            block.indices[block.entries].astype(np.int64),
            block.layers[layer][block.entries].copy(),
            np.diff(block.indptr),
        )
        for block in matrix.blocks()
    ]
    indices, data, lengths = (np.concatenate(part) for part in zip(*parts, strict=True))
    np.testing.assert_array_equal(np.diff(matrix.indptr), lengths)
    return sp.csr_matrix((data, indices, matrix.indptr), shape=matrix.shape)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.csc_array])
def test_sparse_forms_become_rows(form):
    matrix = read_matrix(anndata.AnnData(form(DENSE)))
    assert isinstance(matrix, CsrMatrix)
    assert matrix.indptr.dtype == np.int64
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(rebuilt(matrix).toarray(), DENSE)


@pytest.mark.parametrize("is_sorted", [True, False, "by a flag that is stale"])
def test_columns_that_are_too_many_for_a_copy_become_rows_block_by_block(rng, is_sorted):
    columns = sp.random(3000, 70, density=0.2, format="csc", random_state=rng, dtype=np.float32)
    columns = sp.hstack([columns, sp.csc_matrix((3000, 1)), columns[:, :3]], format="csc")  # some of them empty
    columns.data[::7] = 0  # stored zeros stay, and so do repeated entries
    columns.indices[1] = columns.indices[0]
    if is_sorted is not True:
        columns.indices, columns.data = columns.indices.copy(), columns.data.copy()
        first = slice(columns.indptr[5], columns.indptr[6])
        columns.indices[first], columns.data[first] = columns.indices[first][::-1], columns.data[first][::-1]
        columns.has_sorted_indices = bool(is_sorted)
    before = columns.copy()
    expected = columns.tocsr()
    matrix = matrix_in_memory(columns, "adata.X", reading=Reading(1 << 16))
    assert not isinstance(matrix, CsrMatrix)
    assert len(list(matrix.blocks())) > 3
    for _ in range(2):
        found = rebuilt(matrix)
        np.testing.assert_array_equal(found.indptr, expected.indptr)
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_array_equal(found.data, expected.data)
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(columns, part), getattr(before, part))


def test_columns_that_change_between_readings_are_refused(rng):
    columns = sp.random(3000, 70, density=0.2, format="csc", random_state=rng, dtype=np.float32)
    matrix = matrix_in_memory(columns, "adata.X", reading=Reading(1 << 16))
    next(matrix.blocks())
    columns.indices[:] = columns.indices[::-1].copy()
    with pytest.raises(InvalidArgumentError, match=r"adata\.X: the matrix was changed"):
        list(matrix.blocks())


@pytest.mark.parametrize("row", [-1, 3])
def test_columns_with_rows_outside_the_matrix_are_refused(row):
    columns = sp.csc_matrix(DENSE)
    columns.indices = np.array([row, *columns.indices[1:]], dtype=np.int32)
    columns.has_sorted_indices = True
    with pytest.raises(InvalidArgumentError, match="expected 0 to 2"):
        matrix_in_memory(columns, "adata.X", reading=Reading(1))


def test_stored_zeros_and_repeats_are_kept():
    source = sp.csr_matrix((np.array([1, 0, 2, 3]), np.array([3, 1, 3, 0]), np.array([0, 3, 3, 4])), shape=(3, 4))
    matrix = read_matrix(anndata.AnnData(source))
    assert isinstance(matrix, CsrMatrix)
    assert matrix.data.tolist() == [1, 0, 2, 3]
    assert matrix.indices.tolist() == [3, 1, 3, 0]


@pytest.mark.parametrize("elements", [1, 4, 100])
def test_dense_into_rows_and_back(elements):
    dense = read_matrix(anndata.AnnData(DENSE), elements)
    assert isinstance(dense, DenseMatrix)
    csr = DenseAsRows(dense)
    np.testing.assert_array_equal(rebuilt(csr).toarray(), DENSE)
    np.testing.assert_array_equal(np.concatenate([block[0] for block in dense.blocks()]), DENSE)
    np.testing.assert_array_equal(np.concatenate([block[0] for block in RowsAsDense(csr, elements).blocks()]), DENSE)


def test_views_are_read_as_what_they_show():
    adata = anndata.AnnData(sp.csr_matrix(DENSE))[[2, 0], [3, 1]]
    matrix = read_matrix(adata)
    assert isinstance(matrix, CsrMatrix)
    np.testing.assert_array_equal(rebuilt(matrix).toarray(), DENSE[[2, 0]][:, [3, 1]])


@pytest.mark.parametrize("entries", [1, 2, 3, 100])
def test_blocks_cover_every_row_once(entries):
    matrix = read_matrix(anndata.AnnData(sp.csr_matrix(DENSE)), entries)
    blocks = list(matrix.blocks())
    assert sum(block.n_rows for block in blocks) == 3
    assert all(block.n_rows for block in blocks)
    np.testing.assert_array_equal(rebuilt(matrix).toarray(), DENSE)


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
        survey_rows(read_matrix(adata), ["counts"])


def test_half_precision_is_widened_exactly():
    values = np.array([[0.5, 65504.0]], dtype=np.float16)
    read = read_matrix(anndata.AnnData(values)).values
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("write", [source_files.write_h5ad_csr, source_files.write_h5ad_contiguous])
def test_a_file_that_shrinks_is_an_error(tmp_path, write):
    counts = sp.random(3000, 40, 0.5, format="csr", dtype=np.float32)
    path = write(counts, tmp_path)
    with open_source(path, Reading(1 << 20)) as opened:
        matrix = opened.matrix("X")
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(InvalidArgumentError, match="the file ends at byte"):
            survey_rows(matrix, ["tpm"])


@pytest.mark.parametrize("write", [source_files.write_h5ad_csr, source_files.write_h5ad_contiguous])
def test_a_file_that_is_open_is_read_whatever_its_name_is(tmp_path, monkeypatch, write):
    """Another file of its name and another working directory change nothing, and no descriptor stays open."""
    counts = sp.random(3000, 40, 0.5, format="csr", dtype=np.float32)
    (tmp_path / "other").mkdir()
    other = write(counts * 2, tmp_path / "other")
    path = write(counts, tmp_path)
    monkeypatch.chdir(tmp_path)
    descriptors = sorted(os.listdir("/proc/self/fd"))
    with open_source(path.name, Reading(1 << 20)) as opened:
        os.replace(other, path)
        monkeypatch.chdir(tmp_path / "other")
        matrix = opened.matrix("X")
        read = rebuilt(matrix)
    assert (read != counts).nnz == 0
    assert sorted(os.listdir("/proc/self/fd")) == descriptors
    with pytest.raises(InvalidArgumentError, match="was it closed"):
        next(matrix.blocks())


def test_blocks_are_read_into_the_same_memory(tmp_path):
    counts = sp.random(4000, 100, 0.5, format="csr", dtype=np.float32)
    with open_source(source_files.write_h5ad_csr(counts, tmp_path), Reading(1 << 20)) as opened:
        matrix = opened.matrix("X")
        places = [block.layers[0].ctypes.data for block in matrix.blocks()]
    assert len(places) > 20
    assert len(set(places)) == 2


@pytest.mark.parametrize("options", [{}, {"chunks": (1000,)}, {"chunks": (1000,), "compression": "gzip"}])
@pytest.mark.parametrize("dtypes", [("<i4", "<f4"), ("<i8", "<f8"), (">i4", "<f4"), ("<i4", ">f4"), ("<i2", "<i4")])
def test_the_core_reads_the_same_rows_from_the_file(tmp_path, rng, dtypes, options):
    """What lies in the file as the core takes it stays there until the core reads it; all else comes as arrays."""
    counts = sp.random(3000, 40, 0.5, format="csr", dtype=np.float32, random_state=rng)
    counts.data[:] = rng.integers(1, 50, counts.nnz)
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "shape": counts.shape})
        group["indptr"] = counts.indptr
        group.create_dataset("indices", data=counts.indices.astype(dtypes[0]), **options)
        group.create_dataset("data", data=counts.data.astype(dtypes[1]), **options)
    with h5py.File(tmp_path / "a.h5ad") as file:
        matrix = hdf5_matrix(file["X"], "X", Reading(1 << 20))
        n_rows = 0
        for block in matrix.entry_blocks() if "compression" not in options else ():
            n_rows += block.n_rows
            assert block.n_rows < 3000
            first = int(block.indptr[0])
            in_file = [isinstance(array, _core.FileArray) for array in (block.indices, *block.layers)]
            assert in_file == [dtypes in [("<i4", "<f4"), ("<i8", "<f8")]] * 2
            if all(in_file):
                read = block.read()
                np.testing.assert_array_equal(read.indices, counts.indices[first : first + len(read.indices)])
                np.testing.assert_array_equal(read.layers[0], counts.data[first : first + len(read.indices)])
        np.testing.assert_array_equal(survey_rows(matrix, ["counts"]), counts.sum(axis=0).A1)


@pytest.mark.parametrize(
    ("array", "value", "message"),
    [
        ("indices", 40, r"column indices from 0 to 40, expected 0 to 39"),
        ("indices", -1, r"column indices from -1 to 39, expected 0 to 39"),
        ("data", 0.5, r"fractional values, such as 0\.5"),
        ("data", -3, r"negative values, such as -3"),
        ("data", np.nan, "NaN or infinite"),
    ],
)
def test_wrong_entries_of_a_file_are_named(tmp_path, rng, array, value, message):
    counts = sp.random(3000, 40, 0.5, format="csr", dtype=np.float32, random_state=rng)
    counts.data[:] = 1
    path = source_files.write_h5ad_csr(counts, tmp_path)
    with h5py.File(path, "a") as file:
        file["X"][array][counts.nnz - 7] = value
    with (
        open_source(path, Reading(1 << 20)) as opened,
        pytest.raises(InvalidArgumentError, match=rf"{path.name}: X.* {message}"),
    ):
        survey_rows(opened.matrix("X"), ["counts"])


@pytest.mark.parametrize("index", ["text", "nullable text", "categories"])
@pytest.mark.parametrize("with_columns", [True, False])
def test_obs_without_names_has_the_same_columns(tmp_path, index, with_columns):
    obs = pd.DataFrame(
        {"kind": pd.Categorical(["b", "a", None]), "depth": [1.5, np.nan, 3], "batch": pd.array([1, None, 3], "Int64")},
        index=["x", "y", "z"],
    )
    anndata.AnnData(np.ones((3, 2), np.float32), obs=obs if with_columns else obs[[]]).write_h5ad(tmp_path / "a.h5ad")
    if index != "text":
        with h5py.File(tmp_path / "a.h5ad", "a") as file:
            del file["obs/_index"]
            names = pd.array(["x", "y", "z"], "string") if index == "nullable text" else pd.Categorical(["x", "y", "z"])
            with anndata.settings.override(allow_write_nullable_strings=True):
                anndata.io.write_elem(file["obs"], "_index", names)
    with open_source(tmp_path / "a.h5ad", Reading()) as opened:
        pd.testing.assert_frame_equal(opened.unnamed_obs().reset_index(drop=True), opened.obs().reset_index(drop=True))
        assert list(opened.obs().index) == ["x", "y", "z"]


@pytest.mark.parametrize("write", [source_files.write_h5ad_csr, source_files.write_h5ad_contiguous])
def test_a_file_that_is_written_to_meanwhile_is_an_error(tmp_path, write):
    """What was checked in one reading is not what the next one gives."""
    counts = sp.random(3000, 40, 0.5, format="csr", dtype=np.float32)
    path = write(counts, tmp_path)
    with open_source(path, Reading(1 << 20)) as opened:
        matrix = opened.matrix("X")
        survey_rows(matrix, ["tpm"])
        with open(path, "r+b") as file:
            byte = file.read(1)
            file.seek(0)
            os.utime(path, ns=(0, 0))  # so that the clock need not have moved on
            file.write(byte)
        for blocks in (matrix.blocks(), matrix.entry_blocks()):
            with pytest.raises(InvalidArgumentError, match="changed while it was being read"):
                list(blocks)


def test_an_error_that_is_kept_does_not_keep_the_file(tmp_path):
    counts = sp.random(300, 40, 0.5, format="csr", dtype=np.float32)
    path = source_files.write_h5ad_csr(-counts, tmp_path)
    descriptors = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(InvalidArgumentError, match="negative") as kept, open_source(path, Reading()) as opened:
        survey_rows(opened.matrix("X"), ["counts"])
    assert kept.tb is not None
    assert sorted(os.listdir("/proc/self/fd")) == descriptors


def test_what_lies_behind_the_last_row_is_left_out(tmp_path):
    counts = sp.random(300, 40, 0.5, format="csr", dtype=np.float32)
    path = source_files.write_h5ad_csr(counts, tmp_path)
    with h5py.File(path, "a") as file:
        indices = np.concatenate([counts.indices, [99, 99]]).astype(np.int32)
        del file["X/indices"]
        file["X/indices"] = indices
    with open_source(path, Reading()) as opened:
        np.testing.assert_allclose(survey_rows(opened.matrix("X"), ["tpm"]), counts.sum(axis=0).A1, rtol=1e-5)


def test_odd_datasets_of_hdf5_are_read_by_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("unwritten", (1 << 40,), np.int32, chunks=(1,))
        file.create_dataset("kinds", data=[0, 1, 1], dtype=h5py.enum_dtype({"a": 0, "b": 1}, basetype="i4"))
    with h5py.File(tmp_path / "a.h5") as file:
        assert not Hdf5Array(file["unwritten"], "unwritten").is_plain
        assert Hdf5Array(file["kinds"], "kinds").read(0, 3).tolist() == [0, 1, 1]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("chunk_cells", [7, 3000])
def test_dense_bands_of_chunks_stay_in_the_budget(tmp_path, rng, transposed, chunk_cells):
    """Chunks of one feature and all cells, as in loom files, are not read whole."""
    values = rng.integers(0, 9, (3000, 500)).astype(np.float32)
    budget = 2 << 20  # of 6 MB
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stored, chunks = (values.T, (1, chunk_cells)) if transposed else (values, (chunk_cells, 1))
        file.create_dataset("matrix", data=stored, chunks=chunks)
    with h5py.File(tmp_path / "a.h5") as file:
        source = Hdf5Dense(file["matrix"], "matrix", Reading(budget), transposed)
        tracemalloc.start()
        try:
            begin = 0
            for (block,) in source.blocks():
                assert block.nbytes <= budget // 8
                assert block.flags.c_contiguous
                np.testing.assert_array_equal(block, values[begin : begin + len(block)])
                begin += len(block)
            assert begin == 3000
            assert tracemalloc.get_traced_memory()[1] < budget // 2
        finally:
            tracemalloc.stop()


def test_arrays_in_pieces(tmp_path, rng):
    """Chunks that lie anywhere in the file, in any order and at any byte."""
    values = rng.integers(0, 1 << 30, 1000).astype(np.int32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["odd"] = np.zeros(3, np.uint8)
        dataset = file.create_dataset("values", (1000,), np.int32, chunks=(64,))
        for begin in rng.permutation(np.arange(0, 1000, 64)):
            dataset[begin : begin + 64] = values[begin : begin + 64]
            file.create_dataset(f"odd{begin}", data=np.zeros(int(begin) % 13 + 1, np.uint8))
        file.create_dataset("holes", (1000,), np.int32, chunks=(64,))[100:200] = values[100:200]
    with h5py.File(tmp_path / "a.h5") as file:
        array, holes = Hdf5Array(file["values"], "values"), Hdf5Array(file["holes"], "holes")
        for begin, end in np.sort(rng.integers(0, 1001, (50, 2)), axis=1).tolist():
            np.testing.assert_array_equal(array.read(begin, end), values[begin:end])
            expected = np.where((np.arange(begin, end) >= 100) & (np.arange(begin, end) < 200), values[begin:end], 0)
            np.testing.assert_array_equal(holes.read(begin, end), expected)


@pytest.mark.parametrize("name", ["h5ad, CSR", "h5ad, CSR, gzip", "h5ad, CSC", "h5ad, dense", "10x folder, version 2"])
def test_files_are_read_in_the_stated_memory(tmp_path, rng, name):
    n_cells = 400 if "dense" in name else 2000
    counts = sp.random(n_cells, 2000, 0.3, format="csr", dtype=np.float32, random_state=rng)
    counts.data[:] = rng.integers(1, 50, counts.nnz)
    path = source_files.FORMATS[name](counts, tmp_path)
    n_entries, total = counts.nnz, counts.sum(dtype=np.float64)
    del counts
    budget = 8 << 20
    with open_source(path, Reading(budget, str(tmp_path))) as opened:
        tracemalloc.start()
        try:
            matrix = opened.matrix("X")
            rows = matrix if isinstance(matrix, CsrSource) else DenseAsRows(matrix)
            assert rows.n_entries == n_entries
            for _ in range(2):
                assert survey_rows(rows, ["counts"]).sum() == total
            assert tracemalloc.get_traced_memory()[1] < budget
        finally:
            tracemalloc.stop()
