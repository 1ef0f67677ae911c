"""Layers stored in half precision, by others than this library: read group by group and widened to float32.

The core joins groups of any types but this one, which it only hands out as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from homeobox import _core
from homeobox.query.feature_space import DROPPED
from homeobox.query.pointers import PointerColumns

if TYPE_CHECKING:
    import scipy.sparse


def gather_sparse(
    dtypes: Sequence[np.dtype],
    pointers: PointerColumns,
    gather: Callable[[list[int], PointerColumns, np.dtype], scipy.sparse.csr_matrix],
) -> scipy.sparse.csr_matrix:
    """Cells of groups of which some are in half precision, in the order of the cells.

    Parameters
    ----------
    dtypes
        Stored type of each group.
    gather
        Reads cells of the groups that it is given, in a type; half precision comes as float32.
    """
    import scipy.sparse

    half = np.dtype(np.float16)
    kinds = [
        [group for group, dtype in enumerate(dtypes) if dtype == half],
        [group for group, dtype in enumerate(dtypes) if dtype != half],
    ]
    result = np.result_type(np.float32, *(dtypes[group] for group in kinds[1]))
    parts, places = [], []
    for groups in filter(None, kinds):
        cells = np.flatnonzero(np.isin(pointers.group_of_cell, groups))
        number = np.zeros(len(dtypes), dtype=np.int32)
        number[groups] = np.arange(len(groups), dtype=np.int32)
        own = PointerColumns(
            pointers.field,
            [pointers.groups[group] for group in groups],
            number[pointers.group_of_cell[cells]],
            pointers.begins[cells],
            pointers.ends[cells],
        )
        parts.append(gather(groups, own, np.result_type(*(dtypes[group] for group in groups))).astype(result))
        places.append(cells)
    if len(parts) == 1:
        return parts[0]
    return scipy.sparse.vstack(parts, format="csr")[np.argsort(np.concatenate(places), kind="stable")]


def gather_dense(
    arrays: Sequence[_core.Array], remaps: Sequence[np.ndarray], pointers: PointerColumns, n_columns: int
) -> np.ndarray:
    """float32 [n cells, n_columns], as the core's own gathering gives for other types."""
    result = np.zeros((len(pointers.group_of_cell), n_columns), dtype=np.float32)
    for group, (array, remap) in enumerate(zip(arrays, remaps, strict=True)):
        cells = np.flatnonzero(pointers.group_of_cell == group)
        kept = np.flatnonzero(remap != DROPPED)
        begins = np.ascontiguousarray(pointers.begins[cells])
        values = array.read_ranges(begins, begins + 1)
        result[cells[:, np.newaxis], remap[kept]] = values[:, kept]
    return result
