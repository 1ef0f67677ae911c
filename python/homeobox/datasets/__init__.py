"""Two real single-cell datasets that travel with the package.

Both were published by 10x Genomics under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/); the file
LICENSE-DATA.md beside this module credits them and says what was changed. Reading needs no network.

``anndata`` is imported by the first call, not with the module.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["pbmc3k", "pbmc_facs"]


def pbmc3k() -> AnnData:
    """Load 2,700 peripheral blood cells of a healthy donor: raw counts, as ``scanpy.datasets.pbmc3k()`` returns them.

    Returns
    -------
    AnnData
        2,700 cells x 32,738 genes. ``X`` is CSR of float32 holding whole numbers. The var index is the gene symbol,
        made unique; ``var["gene_ids"]`` is the Ensembl id. ``obs["louvain"]`` names one of eight cell types for
        2,638 cells and is missing for the 62 that the published analysis filtered out.

    Notes
    -----
    Data: 10x Genomics, "3k PBMCs from a Healthy Donor", CC BY 4.0.

    Examples
    --------
    >>> from homeobox.datasets import pbmc3k
    >>> pbmc3k().shape
    (2700, 32738)
    """
    return _read("pbmc3k_raw.h5ad")


def pbmc_facs() -> AnnData:
    """Load 3,774 blood cells that were sorted by FACS before sequencing: raw counts, another gene panel.

    Returns
    -------
    AnnData
        3,774 cells x 16,791 genes. ``X`` is CSR of int32. The var index is the Ensembl id and
        ``var["gene_symbols"]`` the symbol. ``obs["celltype"]`` has ten sorted populations, ``obs["subpop"]`` groups
        them into five.

    Notes
    -----
    Data: 10x Genomics, from Zheng et al. (2017), "Massively parallel digital transcriptional profiling of single
    cells", CC BY 4.0.

    Examples
    --------
    >>> from homeobox.datasets import pbmc_facs
    >>> pbmc_facs().shape
    (3774, 16791)
    """
    return _read("pbmc_facs.h5ad")


def _read(name: str) -> AnnData:
    import anndata

    with as_file(files(__name__).joinpath(name)) as path:
        return anndata.read_h5ad(path)
