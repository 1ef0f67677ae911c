"""Obs columns of cells whose annotation is spread over a common table and one table per modality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ModalityObs:
    """The annotation of one modality.

    Attributes
    ----------
    obs
        One row per cell of the modality.
    row_of_cell
        int64 [n_cells], row of each cell in `obs`; -1 where the cell lacks the modality.
    """

    obs: pd.DataFrame
    row_of_cell: np.ndarray


def cell_columns(names: Iterable[str], common: pd.DataFrame, modalities: Mapping[str, ModalityObs]) -> pd.DataFrame:
    """The columns that can be found of those asked for, one row per cell.

    A column `c` is, in this order: ``common["c"]``; for a name like ``rna_c`` the column ``c`` of modality ``rna``
    (which mudata calls ``rna:c``; a schema's field cannot hold a colon); the column ``c`` of the modalities, each cell
    from the first one that has the cell.

    Raises
    ------
    InvalidArgumentError
        Modalities say different things about one cell, so that which is meant cannot be known.
    """
    import pandas as pd

    columns = {}
    for name in names:
        column = _find(name, common, modalities)
        if column is not None:
            columns[name] = column.set_axis(common.index)
    return pd.DataFrame(columns, index=common.index)


def _find(name: str, common: pd.DataFrame, modalities: Mapping[str, ModalityObs]) -> pd.Series | None:
    if name in common.columns:
        return common[name]
    for modality, part in modalities.items():
        inner = name.removeprefix(f"{modality}_")
        if inner != name and inner in part.obs.columns:
            return _spread(part, inner)
        if inner != name and f"{modality}:{inner}" in common.columns:
            return common[f"{modality}:{inner}"]
    found = {modality: _spread(part, name) for modality, part in modalities.items() if name in part.obs.columns}
    if len(found) < 2:
        return next(iter(found.values()), None)
    return _merge(name, found, modalities)


def _merge(name: str, found: Mapping[str, pd.Series], modalities: Mapping[str, ModalityObs]) -> pd.Series:
    parts = [(modality, column.astype(object)) for modality, column in found.items()]
    first, merged = parts[0]
    known = modalities[first].row_of_cell >= 0
    for modality, column in parts[1:]:
        has = modalities[modality].row_of_cell >= 0
        same = (merged == column).to_numpy(dtype=bool, na_value=False) | (merged.isna() & column.isna()).to_numpy()
        other = np.flatnonzero(known & has & ~same)
        if len(other):
            cell = other[0]
            raise InvalidArgumentError(
                f"obs column '{name}': modalities {list(found)} differ for {len(other)} cell(s), such as cell {cell} "
                f"({merged.iloc[cell]!r} and {column.iloc[cell]!r}); put the right one into the common obs, or name "
                f"the schema's field after its modality, such as '{first}_{name}'"
            )
        merged = merged.where(known | ~has, column)
        known = known | has
    dtypes = {column.dtype for column in found.values()}
    return merged.astype(dtypes.pop()) if len(dtypes) == 1 else merged.infer_objects()


def _spread(part: ModalityObs, name: str) -> pd.Series:
    column = part.obs[name].reset_index(drop=True)
    if bool(np.any(part.row_of_cell < 0)):
        # Whole numbers and truth values would turn into floats and objects at the first missing cell.
        if column.dtype.kind in "iu" and isinstance(column.dtype, np.dtype):
            column = column.astype(column.dtype.name.replace("i", "I").replace("uI", "UI"))
        elif column.dtype == bool:
            column = column.astype("boolean")
    return column.reindex(part.row_of_cell).reset_index(drop=True)
