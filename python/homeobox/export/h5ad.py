"""A dataset as an AnnData, or as an h5ad file written in pieces."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox.catalog import Catalog
from homeobox.errors import InvalidArgumentError, StoreError
from homeobox.export.dataset import StoredDataset, find_dataset
from homeobox.export.recorded import check_recorded

if TYPE_CHECKING:
    import anndata
    import h5py

# Numbers per chunk of a compressible HDF5 dataset.
_CHUNK = 1 << 16


def export_dataset(
    catalog: Catalog, dataset: str, path: str | os.PathLike[str] | None = None, compression: str | None = None
) -> anndata.AnnData | None:
    """One dataset in memory, or as a file. As `RaggedAtlas.export_h5ad` documents."""
    found = find_dataset(catalog, dataset)
    if path is None:
        described = _described(found)
        first, *others = found.layers
        described.X = _whole(found, first)
        for layer in others:
            described.layers[layer] = _whole(found, layer)
        check_recorded(catalog)
        return described
    target = Path(path)
    if target.exists():
        raise InvalidArgumentError(f"'{target}' exists already; nothing is overwritten")
    # The name appears with the last byte, so that nobody takes half a file for a whole one.
    unfinished = target.with_name(f".hox-tmp-{secrets.token_hex(4)}-{target.name}")
    try:
        _described(found).write_h5ad(unfinished)
        _append_matrices(found, unfinished, compression)
        check_recorded(catalog)
        os.replace(unfinished, target)
    except StoreError:
        raise  # of the atlas, not of the file
    except OSError as error:
        raise StoreError(f"'{target}' cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return None


def _described(found: StoredDataset) -> anndata.AnnData:
    import anndata

    var, varm = found.var()
    return anndata.AnnData(obs=found.obs(), var=var, obsm=found.obsm(), varm=varm, uns=found.uns())


def _whole(found: StoredDataset, layer: str) -> Any:
    import scipy.sparse

    blocks = list(found.blocks(layer))
    if not found.is_sparse:
        return np.concatenate(blocks)
    return scipy.sparse.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]


def _append_matrices(found: StoredDataset, path: Path, compression: str | None) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        for position, layer in enumerate(found.layers):
            key = "X" if position == 0 else f"layers/{layer}"
            if key in file:
                del file[key]  # an AnnData without a matrix may be written as one that is empty
            if found.is_sparse:
                _append_sparse(found, layer, file.create_group(key), compression)
            else:
                _append_dense(found, layer, file, key, compression)


def _append_sparse(found: StoredDataset, layer: str, group: h5py.Group, compression: str | None) -> None:
    group.attrs["encoding-type"] = "csr_matrix"
    group.attrs["encoding-version"] = "0.1.0"
    group.attrs["shape"] = np.array([found.n_cells, found.n_features], dtype=np.int64)
    layout: dict[str, Any] = {"maxshape": (None,), "chunks": (_CHUNK,), "compression": compression}
    data = group.create_dataset("data", shape=(0,), dtype=found.dtype(layer), **layout)
    indices = group.create_dataset("indices", shape=(0,), dtype=np.int32, **layout)
    bounds = [np.zeros(1, dtype=np.int64)]
    for block in found.blocks(layer):
        written, end = len(data), len(data) + block.nnz
        for dataset, values in ((data, block.data), (indices, block.indices)):
            dataset.resize((end,))
            dataset[written:end] = values
        bounds.append(written + block.indptr[1:].astype(np.int64))
    whole = np.concatenate(bounds)
    fits = int(whole[-1]) <= np.iinfo(np.int32).max
    group.create_dataset("indptr", data=whole.astype(np.int32) if fits else whole)


def _append_dense(found: StoredDataset, layer: str, file: h5py.File, key: str, compression: str | None) -> None:
    shape = (found.n_cells, found.n_features)
    chunks = (max(1, min(shape[0], _CHUNK // max(1, shape[1]))), shape[1])
    dataset = file.create_dataset(key, shape=shape, dtype=found.dtype(layer), chunks=chunks, compression=compression)
    dataset.attrs["encoding-type"] = "array"
    dataset.attrs["encoding-version"] = "0.2.0"
    begin = 0
    for block in found.blocks(layer):
        dataset[begin : begin + len(block)] = block
        begin += len(block)
