"""A tiny atlas for tests: any number of datasets with panels of their own, and the answer SciPy gives for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

import homeobox as hox
from homeobox.schema import DenseZarrPointer, SparseZarrPointer


class Feature(hox.FeatureBaseSchema):
    symbol: str = ""


class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    protein_abundance: DenseZarrPointer | None = None
    label: str | None = None
    number: int | None = None


@dataclasses.dataclass
class Dataset:
    """One source: its matrix, the uid of each column, and obs."""

    group: str
    matrix: sp.csr_matrix | np.ndarray
    uids: list[str]
    obs: pd.DataFrame
    space: str = "gene_expression"

    def anndata(self) -> anndata.AnnData:
        obs = self.obs.set_axis([f"{self.group}-{i}" for i in range(len(self.obs))])
        var = pd.DataFrame({"global_feature_uid": self.uids}, index=[f"v{i}" for i in range(len(self.uids))])
        return anndata.AnnData(self.matrix, obs=obs, var=var)

    def record(self) -> hox.DatasetRecord:
        return hox.DatasetRecord(zarr_group=self.group, feature_space=self.space, n_cells=self.matrix.shape[0])


UIDS = [f"gene{i}" for i in range(6)]


def dataset(group: str) -> Dataset:
    """Three cells of the features `UIDS`, whatever the group."""
    matrix = sp.csr_matrix(np.arange(18, dtype=np.int32).reshape(3, 6) % 5)
    return Dataset(group, matrix, UIDS, pd.DataFrame({"label": ["a", "b", "c"], "number": [1, 2, 3]}))


def empty_atlas(folder: Path, registered: dict[str, list[str]]) -> hox.RaggedAtlas:
    atlas = hox.create_or_open_atlas(
        atlas_path=str(folder),
        cell_table_name="cells",
        cell_schema=Cell,
        dataset_table_name="datasets",
        dataset_schema=hox.DatasetRecord,
        registry_schemas=dict.fromkeys(registered, Feature),
    )
    for space, uids in registered.items():
        atlas.register_features(space, [Feature(uid=uid, symbol=uid.upper()) for uid in uids])
    return atlas


def add(atlas: hox.RaggedAtlas, dataset: Dataset, **options: object) -> int:
    """Counts of tests may be fractions, which are told from other numbers more easily."""
    return hox.add_from_anndata(
        atlas,
        dataset.anndata(),
        feature_space=dataset.space,
        zarr_layer="counts",
        dataset_record=dataset.record(),
        **{"whole_counts": False, **options},
    )


def checked_out(atlas: hox.RaggedAtlas, folder: Path) -> hox.RaggedAtlas:
    """Indexed, recorded, and opened for queries."""
    atlas.optimize()
    atlas.snapshot()
    return hox.RaggedAtlas.checkout_latest(str(folder))
