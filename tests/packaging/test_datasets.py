"""The shipped matrices are the published ones, in the form in which users know them."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from homeobox.datasets import pbmc3k, pbmc_facs

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT.parent / "shared" / "data"


def source(name: str) -> ad.AnnData:
    path = SOURCES / name
    if not path.exists():
        pytest.skip(f"{name} lies beside the repository only in development")
    return ad.read_h5ad(path)


def test_pbmc3k_looks_as_scanpy_returns_it() -> None:
    adata = pbmc3k()
    assert adata.shape == (2700, 32738)
    assert adata.X.dtype == np.float32
    assert adata.X.has_canonical_format
    assert adata.var_names.is_unique
    assert list(adata.var.columns) == ["gene_ids"]
    # Two genes share this symbol; the second is numbered, as anndata does it.
    assert adata.var.loc[["EFNA3", "EFNA3-1"], "gene_ids"].tolist() == ["ENSG00000143590", "ENSG00000251246"]
    assert adata.obs["louvain"].notna().sum() == 2638


def test_scanpy_finds_pbmc3k_in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    scanpy = pytest.importorskip("scanpy")
    monkeypatch.chdir(ROOT)
    assert scanpy.datasets.pbmc3k().shape == (2700, 32738)


def test_pbmc3k_has_the_counts_of_its_source() -> None:
    original = source("rna_pbmc3k_raw.h5ad")
    adata = pbmc3k()
    assert adata.var["gene_ids"].tolist() == original.var_names.tolist()
    assert (adata.X != original.X).nnz == 0


def test_pbmc_facs_has_the_counts_of_its_source() -> None:
    original = source("rna_pbmc_facs_zheng2017.h5ad")
    adata = pbmc_facs()
    assert adata.var_names.equals(original.var_names)
    assert adata.obs["celltype"].tolist() == original.obs["celltype"].tolist()
    assert (adata.X != original.X).nnz == 0


def test_the_two_panels_meet_in_ensembl_ids() -> None:
    shared = set(pbmc3k().var["gene_ids"]) & set(pbmc_facs().var_names)
    assert len(shared) > 16_000
