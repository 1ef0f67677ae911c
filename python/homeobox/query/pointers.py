"""Pointers of many cells as integers: which group each cell's data lies in, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from homeobox.schema import PointerField, PointerKind

#: Group number of a cell that lacks the modality.
ABSENT = -1


@dataclass(frozen=True)
class PointerColumns:
    """One modality of `n` cells, in the order of the cells.

    Attributes
    ----------
    groups
        Names of the groups that occur.
    group_of_cell
        int32 [n], index into `groups` or `ABSENT`.
    begins, ends
        int64 [n]: element range of a sparse cell; for a dense one `begins` is the row on axis 0 and `ends` is empty.
    """

    field: PointerField
    groups: list[str]
    group_of_cell: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    @property
    def present(self) -> np.ndarray:
        return self.group_of_cell != ABSENT

    def take_present(self) -> PointerColumns:
        """Only the cells that have the modality."""
        present = self.present
        if bool(present.all()):
            return self
        ends = self.ends[present] if len(self.ends) else self.ends
        return PointerColumns(self.field, self.groups, self.group_of_cell[present], self.begins[present], ends)


def pointer_columns(field: PointerField) -> list[str]:
    """Nested columns of the cell table that `read_pointers` needs; the constant feature space is left out."""
    children = ["zarr_group", "start", "end"] if field.kind is PointerKind.SPARSE else ["zarr_group", "position"]
    return [f"{field.name}.{child}" for child in children]


def read_pointers(table: pa.Table, field: PointerField) -> PointerColumns:
    """From the columns that `pointer_columns` names."""
    names, *numbers = (table[name] for name in pointer_columns(field))
    groups, group_of_cell = _encode_groups(names)
    begins, *more = (_integers(column) for column in numbers)
    ends = more[0] if more else np.empty(0, dtype=np.int64)
    return PointerColumns(field, groups, group_of_cell, begins, ends)


def _encode_groups(names: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Distinct names and a number per cell. Absent is "" as this format writes it, or null as later versions do."""
    encoded = names.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no rows at all
        return [], np.empty(0, dtype=np.int32)
    codes = pc.fill_null(encoded.indices, ABSENT).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    distinct = encoded.dictionary.to_pylist()
    groups = [name for name in distinct if name]
    if len(groups) == len(distinct):
        return groups, codes
    number = {name: i for i, name in enumerate(groups)}
    # One more entry at the end: code -1 (a null) finds it.
    renumber = np.array([number.get(name, ABSENT) for name in distinct] + [ABSENT], dtype=np.int32)
    return groups, renumber[codes]


def _integers(column: pa.ChunkedArray) -> np.ndarray:
    if column.null_count:
        column = pc.fill_null(column, 0)
    return column.to_numpy().astype(np.int64, copy=False)
