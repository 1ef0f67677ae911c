"""loom files: dense matrices, features x cells, and one array for each column of obs and var."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from homeobox.ingest.sources.h5ad_frames import decoded
from homeobox.ingest.sources.hdf5_matrix import Hdf5Dense
from homeobox.ingest.sources.matrix import DenseSource
from homeobox.ingest.sources.opened import OpenedSource
from homeobox.ingest.sources.reading import Reading

if TYPE_CHECKING:
    import h5py
    import pandas as pd

# Names by the conventions of loompy, then of what scanpy and Seurat write.
_CELL_NAMES = ("CellID", "obs_names", "cell_names")
_FEATURE_NAMES = ("Accession", "Gene", "var_names", "gene_names")


def is_loom(file: h5py.File) -> bool:
    return "matrix" in file and "row_attrs" in file and "col_attrs" in file


class LoomSource(OpenedSource):
    """`X` is the main matrix. Attributes of one value per cell or feature are columns; those of several are left."""

    def __init__(self, file: h5py.File, reading: Reading) -> None:
        self.name = Path(file.filename).name
        self._file = file
        self._reading = reading

    def places(self) -> list[str]:
        return ["X", *(f"layers/{layer}" for layer in self._file.get("layers", ()))]

    def matrix(self, place: str) -> DenseSource:
        dataset = self._file["matrix" if place == "X" else place]
        return Hdf5Dense(dataset, f"{self.name}: {place}", self._reading, transposed=True)

    def obs(self) -> pd.DataFrame:
        return _attributes(self._file["col_attrs"], _CELL_NAMES)

    def var(self, place: str) -> pd.DataFrame:
        return _attributes(self._file["row_attrs"], _FEATURE_NAMES)

    def close(self) -> None:
        self._file.close()


def _attributes(group: h5py.Group, names: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    columns = {key: decoded(values[()]) for key, values in group.items() if values.ndim == 1}
    index = next((key for key in names if key in columns), None)
    return pd.DataFrame(columns, index=None if index is None else pd.Index(columns[index].astype(str)))
