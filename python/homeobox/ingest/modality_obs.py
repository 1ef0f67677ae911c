"""Obs columns of cells whose annotation is spread over a common table and one table per modality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ModalityObs:
    """The annotation of one modality.

    Attributes
    ----------
    obs, obsm
        One row per cell of the modality.
    row_of_cell
        int64 [n_cells], row of each cell in `obs`; -1 where the cell lacks the modality.
    """

    obs: pd.DataFrame
    row_of_cell: np.ndarray
    obsm: Mapping[str, Any] = field(default_factory=dict)


def cell_vectors(
    keys: Iterable[str], common: Mapping[str, Any], modalities: Mapping[str, ModalityObs]
) -> dict[str, Any]:
    """The matrices that can be found of those asked for, one row per cell; rows of cells that have none are masked.

    A matrix `m` is, in this order: ``common["m"]``; for a name like ``rna_m`` or ``rna:m`` the matrix ``m`` of modality
    ``rna``; the matrix ``m`` of the only modality that has one.

    Raises
    ------
    InvalidArgumentError
        Several modalities have a matrix of this name; those are seldom of one meaning.
    """
    found = {}
    for key in keys:
        if key in common:
            found[key] = common[key]
            continue
        named = [(name, key[len(name) + 1 :]) for name in modalities if key.startswith((f"{name}_", f"{name}:"))]
        places = [(name, inner) for name, inner in named if inner in modalities[name].obsm]
        places = places or [(name, key) for name, part in modalities.items() if key in part.obsm]
        if len(places) > 1:
            raise InvalidArgumentError(
                f"obsm['{key}'] is there in modalities {[name for name, _ in places]}; put the right one into the "
                f"common obsm, or say which is meant, as in column(obsm='{places[0][0]}:{places[0][1]}')"
            )
        for name, inner in places:
            found[key] = _spread_rows(modalities[name].obsm[inner], modalities[name].row_of_cell)
    return found


def _spread_rows(values: Any, row_of_cell: np.ndarray) -> np.ndarray:
    rows = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    absent = row_of_cell < 0
    if not absent.any():
        return rows[row_of_cell]
    spread = np.zeros((len(row_of_cell), *rows.shape[1:]), rows.dtype)
    spread[~absent] = rows[row_of_cell[~absent]]
    mask = np.broadcast_to(absent.reshape(-1, *[1] * (spread.ndim - 1)), spread.shape)
    return np.ma.MaskedArray(spread, mask=mask)


def cell_columns(
    names: Iterable[str], common: pd.DataFrame, modalities: Mapping[str, ModalityObs]
) -> tuple[pd.DataFrame, list[str]]:
    """The columns that can be found of those asked for, one row per cell; and the names of those that are not used.

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
    used: set[str] = set()
    for name in names:
        column = _find(name, common, modalities, used)
        if column is not None:
            columns[name] = column.set_axis(common.index)
    own = [f"{modality}:{name}" for modality, part in modalities.items() for name in part.obs.columns]
    unused = [name for name in dict.fromkeys([*map(str, common.columns), *own]) if name not in used]
    return pd.DataFrame(columns, index=common.index), unused


def _find(name: str, common: pd.DataFrame, modalities: Mapping[str, ModalityObs], used: set[str]) -> pd.Series | None:
    if name in common.columns:
        used |= {name, *(f"{modality}:{name}" for modality in modalities)}
        return common[name]
    for modality, part in modalities.items():
        inner = name.removeprefix(f"{modality}_")
        qualified = f"{modality}:{inner}"
        if inner != name and inner in part.obs.columns:
            used.add(qualified)
            return _spread(part, inner)
        if inner != name and qualified in common.columns:
            used.add(qualified)
            return common[qualified]
    used |= {f"{modality}:{name}" for modality in modalities}
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
