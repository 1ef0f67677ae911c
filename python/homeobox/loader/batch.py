"""What a loader yields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class SparseBatch:
    """Sparse rows of some cells: row `i` is ``indices[offsets[i]:offsets[i + 1]]`` with `values` alongside.

    Stage: experimental.

    Attributes
    ----------
    indices
        int32 [n_entries], global index of each feature; not ascending inside a row.
    values
        [n_entries], in the result type of the stored dtypes.
    offsets
        int64 [n_cells + 1], from 0.
    n_features
        Size of the feature space: one more than the largest index that may occur.
    cells
        uint32 [n_cells], position of each row among the selected cells that have the modality, in query order.
    metadata
        Obs columns by name, in row order, if any were asked for.

    Notes
    -----
    The arrays are read-only views of one allocation, which the loader uses again as soon as none of them is left.
    """

    indices: np.ndarray
    values: np.ndarray
    offsets: np.ndarray
    n_features: int
    cells: np.ndarray
    metadata: dict[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return (
            f"SparseBatch({len(self)} cells x {self.n_features} features, {len(self.values)} entries, "
            f"{self.values.dtype})"
        )
