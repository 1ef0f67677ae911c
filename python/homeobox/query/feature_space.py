"""The joined feature space of a result: which features are its columns, and where each layout's features go.

Three numberings meet here. *Local*: position in a layout. *Global*: position in the registry. *Joined*: column of the
result, which follows ascending global index, whatever was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.query.request import FeatureJoin

#: Joined column of a feature that the result leaves out.
DROPPED = -1


@dataclass(frozen=True)
class JoinedFeatures:
    """Columns of a result.

    Attributes
    ----------
    global_index
        int32 [n_columns], ascending.
    layouts
        Uids of the distinct layouts that occur.
    remaps
        Per layout int32 [n_local]: joined column, or `DROPPED`.
    """

    global_index: np.ndarray
    layouts: list[str]
    remaps: list[np.ndarray]

    @property
    def n_columns(self) -> int:
        return len(self.global_index)

    def measured(self) -> np.ndarray:
        """bool [n_columns, n_layouts]: whether the datasets of a layout measured the feature at all."""
        measured = np.zeros((self.n_columns, len(self.layouts)), dtype=bool)
        for column, remap in enumerate(self.remaps):
            measured[remap[remap != DROPPED], column] = True
        return measured


def join_features(
    layouts: Mapping[str, np.ndarray], how: FeatureJoin, wanted: np.ndarray | None = None
) -> JoinedFeatures:
    """Join the layouts of a result.

    Parameters
    ----------
    layouts
        Global index of each local feature, per layout uid; a negative one has not been assigned.
    how
        "union" or "intersection".
    wanted
        Global indices of a feature filter. It decides alone: exactly these are the columns, measured or not.

    Raises
    ------
    InvalidArgumentError
        A feature has no global index yet.
    """
    for uid, to_global in layouts.items():
        n_unindexed = int(np.count_nonzero(to_global < 0))
        if n_unindexed:
            raise InvalidArgumentError(
                f"{n_unindexed} feature(s) of layout '{uid}' have no global_index; run optimize() first"
            )
    columns = _columns(list(layouts.values()), how) if wanted is None else np.unique(wanted)
    columns = columns.astype(np.int32)
    # From global to joined by a table, one past the largest index that occurs.
    highest = max((int(ids.max()) for ids in (*layouts.values(), columns) if len(ids)), default=-1)
    to_joined = np.full(highest + 1, DROPPED, dtype=np.int32)
    to_joined[columns] = np.arange(len(columns), dtype=np.int32)
    return JoinedFeatures(columns, list(layouts), [to_joined[to_global] for to_global in layouts.values()])


def _columns(layouts: Sequence[np.ndarray], how: FeatureJoin) -> np.ndarray:
    n_layouts_with = np.zeros(max((int(ids.max()) + 1 for ids in layouts if len(ids)), default=0), dtype=np.int32)
    for to_global in layouts:
        n_layouts_with[to_global] += 1  # features of one layout are distinct
    return np.flatnonzero(n_layouts_with == len(layouts) if how == "intersection" else n_layouts_with)
