"""Groups that homeobox 0.2.2 wrote get a feature-major copy here, and it is the transposition of what they hold."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import homeobox as hox
from homeobox import _core

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden022"

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden atlases of 0.2.2 are not beside the repository")


@pytest.fixture(scope="module")
def checker():
    sys.path.insert(0, str(GOLDEN))
    try:
        yield importlib.import_module("golden_lib")
    finally:
        sys.path.remove(str(GOLDEN))


def transposed(atlas: hox.RaggedAtlas, group: str, n_features: int) -> sp.csc_matrix:
    """SciPy's, from the stored arrays and the pointers of the cells."""
    store = atlas.catalog.store
    columns = [f"gene_expression.{child}" for child in ("zarr_row", "start", "end")]
    cells = atlas.catalog.scan_cells(columns, where=f"gene_expression.zarr_group = '{group}'")
    rows, begins, ends = (cells[column].to_numpy() for column in columns)
    order = np.argsort(rows)
    indptr = np.append(begins[order], ends[order][-1])
    indices = _core.Array.open(store, f"{group}/csr/indices").read_all().astype(np.int64)
    values = _core.Array.open(store, f"{group}/csr/layers/counts").read_all()
    return sp.csr_matrix((values, indices, indptr), shape=(len(rows), n_features)).tocsc()


@pytest.mark.parametrize("name", ["g1_quickstart", "g5_codecs"])
def test_every_group_is_transposed(checker, tmp_path, name):
    root = checker.unpack(name, str(GOLDEN), str(tmp_path))
    atlas = hox.RaggedAtlas.open(root, "cells")
    store = atlas.catalog.store
    before = hox.RaggedAtlas.checkout_latest(root).query().to_anndata()
    datasets = [row for row in atlas.list_datasets().to_dicts() if row["feature_space"] == "gene_expression"]
    assert datasets
    for dataset in datasets:
        group = dataset["zarr_group"]
        n_features = len(atlas.catalog.layouts.read(dataset["layout_uid"])[0])
        hox.add_csc(atlas, group, "gene_expression")
        expected = transposed(atlas, group, n_features)
        for path, answer in [
            ("indptr", expected.indptr),
            ("indices", expected.indices),
            ("layers/counts", expected.data),
        ]:
            array = _core.Array.open(store, f"{group}/csc/{path}")
            np.testing.assert_array_equal(array.read_all(), answer, err_msg=f"{group} {path}")
            assert "bp128" not in array.metadata  # 0.2.2 does not know it
        assert array.dtype == _core.Array.open(store, f"{group}/csr/layers/counts").dtype
        assert store.size(f"{group}/.hox-manifest") is None
    assert atlas.validate() == []
    after = hox.RaggedAtlas.checkout_latest(root).query().to_anndata()
    assert (before.X != after.X).nnz == 0
