"""Folders of 10x Genomics: a Matrix Market file with the names of its rows and columns, of version 2 or 3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources.matrix import CsrSource
from homeobox.ingest.sources.matrix_market import transposed_matrix_market
from homeobox.ingest.sources.opened import OpenedSource
from homeobox.ingest.sources.reading import Reading

if TYPE_CHECKING:
    import pandas as pd

_VAR_COLUMNS = ("gene_ids", "gene_symbols", "feature_types")


def is_tenx_folder(folder: Path) -> bool:
    return bool(_found(folder, "matrix.mtx"))


class TenxMtxSource(OpenedSource):
    """`X` is the matrix; `obs` and `var` as those of a 10x HDF5 file."""

    def __init__(self, folder: Path, reading: Reading) -> None:
        self.name = folder.name
        self._folder = folder
        self._reading = reading

    def places(self) -> list[str]:
        return ["X"]

    def matrix(self, place: str) -> CsrSource:
        return transposed_matrix_market(self._file("matrix.mtx"), self._reading)

    def obs(self) -> pd.DataFrame:
        import pandas as pd

        barcodes = _read_table(self._file("barcodes.tsv"))[0].to_numpy(dtype=object)
        return pd.DataFrame(index=pd.Index(barcodes))

    def var(self, place: str) -> pd.DataFrame:
        import pandas as pd

        table = _read_table(self._file("features.tsv", "genes.tsv"))
        columns = {name: table[i].to_numpy(dtype=object) for i, name in enumerate(_VAR_COLUMNS) if i < table.shape[1]}
        return pd.DataFrame(columns, index=pd.Index(columns["gene_ids"]))

    def close(self) -> None:
        pass  # nothing stays open

    def _file(self, *names: str) -> Path:
        found = _found(self._folder, *names)
        if not found:
            raise InvalidArgumentError(
                f"the folder {self._folder} has no file {' or '.join(names)}, plain or with .gz; "
                f"found {sorted(path.name for path in self._folder.iterdir())[:10]}"
            )
        return found[0]


def _found(folder: Path, *names: str) -> list[Path]:
    return [path for name in names for path in (folder / name, folder / f"{name}.gz") if path.is_file()]


def _read_table(path: Path) -> pd.DataFrame:
    import csv

    import pandas as pd

    try:
        return pd.read_csv(path, sep="\t", header=None, dtype=str, na_filter=False, quoting=csv.QUOTE_NONE)
    except (ValueError, EOFError, OSError) as error:
        raise InvalidArgumentError(f"{path} is not a table of names: {error}") from error
