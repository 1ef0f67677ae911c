"""What a path or object is, by what is in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeobox.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from homeobox.ingest.sources.anndata_object import AnnDataSource
from homeobox.ingest.sources.h5ad import H5adSource
from homeobox.ingest.sources.hdf5_file import open_hdf5
from homeobox.ingest.sources.loom import LoomSource, is_loom
from homeobox.ingest.sources.opened import OpenedSource
from homeobox.ingest.sources.reading import Reading
from homeobox.ingest.sources.tenx_h5 import TenxH5Source, is_tenx_h5
from homeobox.ingest.sources.tenx_mtx import TenxMtxSource, is_tenx_folder

if TYPE_CHECKING:
    import anndata
    import h5py


def open_source(source: anndata.AnnData | str | os.PathLike[str], reading: Reading) -> OpenedSource:
    """Open an AnnData object, an h5ad, 10x HDF5 or loom file, or a folder of 10x.

    Raises
    ------
    NotFoundError
        There is nothing at the path.
    InvalidArgumentError
        It is none of these, or damaged.
    UnsupportedError
        It is of a kind that another function or reader takes; says which.
    """
    if isinstance(source, (str, os.PathLike)):
        return _open_path(Path(source), reading)
    if not hasattr(source, "obs") or not hasattr(source, "X"):
        found: Any = type(source).__name__
        raise UnsupportedError(f"adata must be an AnnData or a path, found {found}")
    return AnnDataSource(source, reading)


def _open_path(path: Path, reading: Reading) -> OpenedSource:
    if path.is_dir():
        if is_tenx_folder(path):
            return TenxMtxSource(path, reading)
        if (path / "zarr.json").exists() or (path / ".zgroup").exists():
            raise UnsupportedError(f"{path} is a Zarr store; read it first: anndata.io.read_zarr(path)")
        raise InvalidArgumentError(f"the folder {path} has no matrix.mtx or matrix.mtx.gz, so it is not one of 10x")
    if not path.exists():
        raise NotFoundError(f"there is no file or folder {path}")
    file = open_hdf5(path)
    try:
        return _open_file(file, reading)
    except BaseException:
        file.close()
        raise


def _open_file(file: h5py.File, reading: Reading) -> OpenedSource:
    if is_loom(file):
        return LoomSource(file, reading)
    if "mod" in file:
        raise UnsupportedError(f"{file.filename} is an h5mu file of several modalities; use add_from_mudata")
    if "obs" in file and "var" in file:
        return H5adSource(file, reading)
    if is_tenx_h5(file):
        return TenxH5Source(file, reading)
    raise InvalidArgumentError(
        f"{file.filename} is HDF5, but neither h5ad (obs, var, X), nor of 10x (barcodes, indptr), nor loom "
        f"(matrix, row_attrs, col_attrs); it holds {sorted(file)[:10]}"
    )
