"""An h5ad file, read in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.h5ad_frames import read_frame
from homeobox.ingest.sources.hdf5_matrix import hdf5_matrix
from homeobox.ingest.sources.matrix import CsrSource, DenseSource
from homeobox.ingest.sources.opened import OpenedSource
from homeobox.ingest.sources.reading import Reading

if TYPE_CHECKING:
    import h5py
    import pandas as pd


class H5adSource(OpenedSource):
    """Matrices are read from the file as they are asked for; obs and var whole."""

    def __init__(self, file: h5py.File, reading: Reading) -> None:
        self.name = Path(file.filename).name
        self._file = file
        self._reading = reading

    def places(self) -> list[str]:
        return hdf5_places(self._file)

    def matrix(self, place: str) -> CsrSource | DenseSource:
        key = "raw.X" if place == "raw/X" and "raw.X" in self._file else place
        return hdf5_matrix(self._file[key], f"{self.name}: {place}", self._reading)

    def obs(self) -> pd.DataFrame:
        return read_frame(self._file, "obs", self.name)

    def unnamed_obs(self) -> pd.DataFrame:
        return read_frame(self._file, "obs", self.name, names=False)

    def var(self, place: str) -> pd.DataFrame:
        key = "var"
        if place == "raw/X":
            key = "raw.var" if "raw.var" in self._file else "raw/var"
        return read_frame(self._file, key, self.name)

    def obsm(self) -> Mapping[str, Any]:
        return _Obsm(self._file["obsm"], self.name) if "obsm" in self._file else {}

    def close(self) -> None:
        self._file.close()


class _Obsm(Mapping[str, Any]):
    """Matrices of a file, read when they are asked for: frames and sparse ones by AnnData, arrays by who uses them."""

    def __init__(self, element: h5py.Group | h5py.Dataset, name: str) -> None:
        self._element = element  # before AnnData 0.7 a table, whose fields are the matrices
        self._name = name

    def __getitem__(self, key: str) -> Any:
        from anndata.io import read_elem

        if key not in list(self):
            raise KeyError(key)
        values = self._element[key]
        if getattr(values, "ndim", 0) == 2:
            return values
        try:
            return read_elem(values) if hasattr(values, "attrs") else values
        except Exception as error:  # AnnData raises whatever its readers do
            raise InvalidArgumentError(f"{self._name}: obsm['{key}'] cannot be read: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._element if hasattr(self._element, "keys") else self._element.dtype.names or ())

    def __len__(self) -> int:
        return len(list(iter(self)))


def hdf5_places(file: h5py.File) -> list[str]:
    """Every matrix of an h5ad file, of this or an older version."""
    places = ["X"] if "X" in file else []
    if "raw/X" in file or "raw.X" in file:
        places.append("raw/X")
    return places + [f"layers/{layer}" for layer in file.get("layers", ())]
