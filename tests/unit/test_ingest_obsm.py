"""Vectors from obsm of h5ad files, in every form that AnnData stores."""

from __future__ import annotations

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Feature

import homeobox as hox
from homeobox.errors import InvalidArgumentError
from homeobox.schema import SparseZarrPointer, Vector, column

VECTORS = np.array([[0.5, 1], [0, 2], [3, 0]])


class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    pca: Vector(2) | None = column(obsm="X_pca")


def add(folder, path) -> list:
    atlas = hox.create_or_open_atlas(
        folder, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Feature}
    )
    atlas.register_features("gene_expression", [Feature(uid="a"), Feature(uid="b")])
    record = hox.DatasetRecord(zarr_group="g", feature_space="gene_expression", n_cells=3)
    hox.add_from_anndata(
        atlas, path, feature_space="gene_expression", zarr_layer="counts", dataset_record=record, feature_uids="index"
    )
    return [row["pca"] for row in atlas.catalog.scan_cells(["pca"]).to_pylist()]


def source() -> anndata.AnnData:
    names = [f"cell{i}" for i in range(3)]
    counts = sp.csr_matrix(np.arange(6, dtype=np.int32).reshape(3, 2))
    return anndata.AnnData(counts, obs=pd.DataFrame(index=names), var=pd.DataFrame(index=["a", "b"]))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix, pd.DataFrame])
def test_every_form(tmp_path, form):
    adata = source()
    values = form(VECTORS)
    adata.obsm["X_pca"] = (
        values.set_axis(adata.obs_names).set_axis(["x", "y"], axis=1) if form is pd.DataFrame else values
    )
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert add(tmp_path / "atlas", tmp_path / "a.h5ad") == VECTORS.tolist()


def test_the_table_of_old_files(tmp_path):
    source().write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        del file["obsm"]
        table = np.zeros(3, dtype=[("X_pca", "f4", (2,))])
        table["X_pca"] = VECTORS
        file["obsm"] = table
    assert add(tmp_path / "atlas", tmp_path / "a.h5ad") == VECTORS.tolist()


def test_what_cannot_be_a_vector_is_refused(tmp_path):
    source().write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "r+") as file:
        file["obsm/X_pca"] = np.arange(3)
    with pytest.raises(InvalidArgumentError, match=r"obsm\['X_pca'\] must be a matrix of 2 numbers"):
        add(tmp_path / "atlas", tmp_path / "a.h5ad")
