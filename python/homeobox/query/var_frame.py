"""`var` of a result: rows of a registry, taken by global index.

The registry is turned into a pandas frame once; a query takes from it. Every frame that leaves here owns its columns,
so a caller who edits `adata.var` edits nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class VarFrame:
    """One registry as a frame, its features by ascending global index."""

    def __init__(self, registry: pl.DataFrame) -> None:
        import pandas as pd

        indexed = registry.drop_nulls("global_index").sort("global_index")
        frame = indexed.drop("uid").to_pandas()
        frame.index = pd.Index(indexed["uid"].to_numpy(), dtype=object, name="uid")
        self._frame = frame[["global_index", *frame.columns.drop("global_index")]]
        self._global_index = indexed["global_index"].to_numpy()
        # So it is in every registry that optimize() numbered; another writer may have left gaps.
        self._is_contiguous = len(indexed) == 0 or int(self._global_index[-1]) == len(indexed) - 1

    def take(self, global_index: np.ndarray) -> pd.DataFrame:
        """Frame of these features (ascending), index `uid`; columns `global_index`, then the registry's own."""
        if len(global_index) == len(self._frame):
            return self._frame.copy()
        rows = global_index if self._is_contiguous else np.searchsorted(self._global_index, global_index)
        return self._frame.take(rows)
