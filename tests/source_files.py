"""One small matrix as a file of every format that an ingest reads, written without the package under test."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp


def ids(matrix: sp.csr_matrix) -> list[str]:
    return [f"gene{i}" for i in range(matrix.shape[1])]


def barcodes(matrix: sp.csr_matrix) -> list[str]:
    return [f"cell-{i}" for i in range(matrix.shape[0])]


def as_anndata(matrix: sp.csr_matrix | np.ndarray, **options: object) -> anndata.AnnData:
    obs = pd.DataFrame({"label": [f"l{i % 3}" for i in range(matrix.shape[0])]}, index=barcodes(matrix))
    var = pd.DataFrame({"gene_ids": ids(matrix)}, index=[f"symbol{i}" for i in range(matrix.shape[1])])
    return anndata.AnnData(matrix, obs=obs, var=var, **options)


def write_h5ad_csr(matrix: sp.csr_matrix, folder: Path) -> Path:
    as_anndata(matrix).write_h5ad(folder / "csr.h5ad")
    return folder / "csr.h5ad"


def write_h5ad_gzip(matrix: sp.csr_matrix, folder: Path) -> Path:
    as_anndata(matrix).write_h5ad(folder / "gzip.h5ad", compression="gzip")
    return folder / "gzip.h5ad"


def write_h5ad_contiguous(matrix: sp.csr_matrix, folder: Path) -> Path:
    """As other programs write it: no chunks, and the other byte order."""
    path = write_h5ad_csr(matrix, folder)
    with h5py.File(path, "r+") as file:
        for key, order in (("data", ">"), ("indices", ">"), ("indptr", "<")):
            values = file["X"][key][()]
            del file["X"][key]
            file["X"].create_dataset(key, data=values.astype(values.dtype.newbyteorder(order)))
    return path


def write_h5ad_csc(matrix: sp.csr_matrix, folder: Path) -> Path:
    as_anndata(matrix.tocsc()).write_h5ad(folder / "csc.h5ad")
    return folder / "csc.h5ad"


def write_h5ad_dense(matrix: sp.csr_matrix, folder: Path) -> Path:
    as_anndata(matrix.toarray()).write_h5ad(folder / "dense.h5ad")
    return folder / "dense.h5ad"


def write_h5ad_dense_chunked(matrix: sp.csr_matrix, folder: Path) -> Path:
    path = write_h5ad_dense(matrix, folder)
    with h5py.File(path, "r+") as file:
        values = file["X"][()]
        del file["X"]
        file.create_dataset("X", data=values, chunks=tuple(min(2, size) for size in values.shape), compression="lzf")
    return path


def write_h5ad_before_0_7(matrix: sp.csr_matrix, folder: Path) -> Path:
    """Records for obs and var, categories as codes beside a list in uns, the encoding under its old name."""
    with h5py.File(folder / "old.h5ad", "w") as file:
        x = file.create_group("X")
        x.attrs["h5sparse_format"] = "csr"
        x.attrs["h5sparse_shape"] = matrix.shape
        for key in ("data", "indices", "indptr"):
            x.create_dataset(key, data=getattr(matrix, key))
        obs = np.zeros(matrix.shape[0], dtype=[("index", "S16"), ("label", "i1")])
        obs["index"] = [name.encode() for name in barcodes(matrix)]
        obs["label"] = [i % 3 for i in range(matrix.shape[0])]
        var = np.zeros(matrix.shape[1], dtype=[("index", "S16"), ("gene_ids", "S16")])
        var["gene_ids"] = [name.encode() for name in ids(matrix)]
        file.create_dataset("obs", data=obs)
        file.create_dataset("var", data=var)
        file.create_group("uns").create_dataset("label_categories", data=np.array([b"l0", b"l1", b"l2"]))
    return folder / "old.h5ad"


def write_tenx_v3(matrix: sp.csr_matrix, folder: Path) -> Path:
    with h5py.File(folder / "v3.h5", "w") as file:
        group = file.create_group("matrix")
        _write_tenx(group, matrix)
        features = group.create_group("features")
        for key, values in (("id", ids(matrix)), ("name", ids(matrix)), ("feature_type", ["x"] * matrix.shape[1])):
            features.create_dataset(key, data=np.array(values, dtype="S"))
    return folder / "v3.h5"


def write_tenx_v2(matrix: sp.csr_matrix, folder: Path) -> Path:
    with h5py.File(folder / "v2.h5", "w") as file:
        group = file.create_group("GRCh38")
        _write_tenx(group, matrix)
        group.create_dataset("genes", data=np.array(ids(matrix), dtype="S"))
        group.create_dataset("gene_names", data=np.array(ids(matrix), dtype="S"))
    return folder / "v2.h5"


def _write_tenx(group: h5py.Group, matrix: sp.csr_matrix) -> None:
    for key in ("data", "indices", "indptr"):
        group.create_dataset(key, data=getattr(matrix, key), compression="gzip", chunks=True)
    group.create_dataset("shape", data=np.array(matrix.shape[::-1], dtype=np.int32))
    group.create_dataset("barcodes", data=np.array(barcodes(matrix), dtype="S"))


def write_mtx_v3(matrix: sp.csr_matrix, folder: Path) -> Path:
    made = folder / "mtx3"
    made.mkdir()
    with gzip.open(made / "matrix.mtx.gz", "wb") as file:
        scipy.io.mmwrite(file, matrix.T.tocoo(), comment="two\nlines", symmetry="general")
    with gzip.open(made / "features.tsv.gz", "wt") as file:
        file.writelines(f'{name}\t"{name}\tGene Expression\n' for name in ids(matrix))
    with gzip.open(made / "barcodes.tsv.gz", "wt") as file:
        file.writelines(f"{name}\n" for name in barcodes(matrix))
    return made


def write_mtx_v2(matrix: sp.csr_matrix, folder: Path) -> Path:
    made = folder / "mtx2"
    made.mkdir()
    scipy.io.mmwrite(made / "matrix.mtx", matrix.T.tocoo(), symmetry="general")
    (made / "genes.tsv").write_text("".join(f"{name}\tsymbol\n" for name in ids(matrix)))
    (made / "barcodes.tsv").write_text("".join(f"{name}\n" for name in barcodes(matrix)))
    return made


def write_loom(matrix: sp.csr_matrix, folder: Path) -> Path:
    with h5py.File(folder / "a.loom", "w") as file:
        dense = matrix.toarray().T
        chunks = tuple(min(3, size) for size in dense.shape)
        file.create_dataset("matrix", data=dense, chunks=chunks, compression="gzip")
        file.create_group("layers").create_dataset("spliced", data=dense)
        file.create_group("row_attrs").create_dataset("gene_ids", data=np.array(ids(matrix), dtype="S"))
        file.create_group("col_attrs").create_dataset("CellID", data=np.array(barcodes(matrix), dtype="S"))
    return folder / "a.loom"


#: Keeps stored zeros and repeated entries.
SPARSE_FORMATS: dict[str, Callable[[sp.csr_matrix, Path], Path]] = {
    "h5ad, CSR": write_h5ad_csr,
    "h5ad, CSR, gzip": write_h5ad_gzip,
    "h5ad, CSR, contiguous": write_h5ad_contiguous,
    "h5ad, CSR, before 0.7": write_h5ad_before_0_7,
    "10x HDF5, version 3": write_tenx_v3,
    "10x HDF5, version 2": write_tenx_v2,
}

FORMATS: dict[str, Callable[[sp.csr_matrix, Path], Path]] = {
    **SPARSE_FORMATS,
    "h5ad, CSC": write_h5ad_csc,
    "h5ad, dense": write_h5ad_dense,
    "h5ad, dense, chunked": write_h5ad_dense_chunked,
    "10x folder, version 3": write_mtx_v3,
    "10x folder, version 2": write_mtx_v2,
    "loom": write_loom,
}
