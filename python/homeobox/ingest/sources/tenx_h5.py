"""10x Genomics HDF5 files: one compressed matrix whose columns are cells, which are our rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.hdf5_matrix import hdf5_rows
from homeobox.ingest.sources.matrix import CsrSource
from homeobox.ingest.sources.opened import OpenedSource
from homeobox.ingest.sources.reading import Reading

if TYPE_CHECKING:
    import h5py
    import pandas as pd

# Cell Ranger 3 and later; version 2 has the same two beside the matrix.
_FEATURE_COLUMNS = {"id": "gene_ids", "name": "gene_symbols", "feature_type": "feature_types", "genome": "genome"}


def is_tenx_h5(file: h5py.File) -> bool:
    return bool(_matrix_groups(file))


class TenxH5Source(OpenedSource):
    """`X` is the matrix; a file of Cell Ranger 2 with several genomes has one place for each, by its name.

    `var` has the index and the column `gene_ids`, and the columns `gene_symbols`, `feature_types` and `genome` where
    the file has them; `obs` the barcodes as its index.
    """

    def __init__(self, file: h5py.File, reading: Reading) -> None:
        self.name = Path(file.filename).name
        self._file = file
        self._reading = reading
        self._groups = _matrix_groups(file)

    def places(self) -> list[str]:
        return ["X"] if len(self._groups) == 1 else list(self._groups)

    def matrix(self, place: str) -> CsrSource:
        group = self._group(place)
        shape = group.get("shape")
        if shape is None or shape.shape != (2,):
            raise InvalidArgumentError(f"{self.name}: '{group.name}/shape' must hold two numbers")
        n_features, n_cells = (int(size) for size in shape[()])
        return hdf5_rows(group, (n_cells, n_features), f"{self.name}: {group.name.strip('/')}", self._reading)

    def obs(self) -> pd.DataFrame:
        import pandas as pd

        # Of several genomes each has all cells.
        return pd.DataFrame(index=pd.Index(_texts(next(iter(self._groups.values()))["barcodes"])))

    def var(self, place: str) -> pd.DataFrame:
        import pandas as pd

        group = self._group(place)
        if "features" in group:
            features = group["features"]
            columns = {name: _texts(features[key]) for key, name in _FEATURE_COLUMNS.items() if key in features}
        else:
            columns = {"gene_ids": _texts(group["genes"]), "gene_symbols": _texts(group["gene_names"])}
        return pd.DataFrame(columns, index=pd.Index(columns["gene_ids"]))

    def close(self) -> None:
        self._file.close()

    def _group(self, place: str) -> h5py.Group:
        return next(iter(self._groups.values())) if place == "X" else self._groups[place]


def _matrix_groups(file: h5py.File) -> dict[str, h5py.Group]:
    return {
        key: element
        for key, element in file.items()
        if hasattr(element, "keys") and "barcodes" in element and "indptr" in element
    }


def _texts(dataset: h5py.Dataset) -> np.ndarray:
    return np.array([item.decode() if isinstance(item, bytes) else item for item in dataset[()]], dtype=object)
