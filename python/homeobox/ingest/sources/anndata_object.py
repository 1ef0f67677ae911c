"""An AnnData object, in memory or backed by a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest.sources.hdf5_matrix import hdf5_matrix
from homeobox.ingest.sources.in_memory import matrix_in_memory
from homeobox.ingest.sources.matrix import CsrSource, DenseSource
from homeobox.ingest.sources.opened import OpenedSource
from homeobox.ingest.sources.reading import Reading

if TYPE_CHECKING:
    import anndata
    import pandas as pd


class AnnDataSource(OpenedSource):
    """`X` and `raw/X` of a backed object come from its file in pieces; a view of one is read into memory."""

    def __init__(self, adata: anndata.AnnData, reading: Reading) -> None:
        self.name = "adata"
        self._adata = adata
        self._reading = reading
        self._backed = bool(getattr(adata, "isbacked", False)) and not adata.is_view

    def places(self) -> list[str]:
        places = ["X"]  # asked for, the X of a view would be made
        if self._adata.raw is not None:
            places.append("raw/X")
        return places + [f"layers/{layer}" for layer in self._adata.layers]

    def matrix(self, place: str) -> CsrSource | DenseSource:
        name = "adata.X" if place == "X" else "adata.raw.X" if place == "raw/X" else f"adata.{place}"
        if self._backed and not place.startswith("layers/"):
            if not self._adata.file.is_open:
                raise InvalidArgumentError(f"the file {self._adata.filename} that backs adata is closed")
            file = self._adata.file._file
            if not hasattr(file, "filename"):
                raise UnsupportedError("adata is backed by something other than an HDF5 file; pass adata.to_memory()")
            key = "raw.X" if place == "raw/X" and "raw.X" in file else place
            if key not in file:
                raise InvalidArgumentError(f"{name} is None; there is nothing to ingest")
            return hdf5_matrix(file[key], name, self._reading)
        values = (
            self._adata.X
            if place == "X"
            else self._adata.raw.X
            if place == "raw/X"
            else self._adata.layers[place.removeprefix("layers/")]
        )
        return matrix_in_memory(values, name, self._reading.block_elements, self._reading)

    def obs(self) -> pd.DataFrame:
        return self._adata.obs

    def var(self, place: str) -> pd.DataFrame:
        return self._adata.raw.var if place == "raw/X" else self._adata.var

    def obsm(self) -> Mapping[str, Any]:
        return dict(self._adata.obsm)

    def close(self) -> None:
        pass  # the file of a backed object is the caller's
