"""`var` of a result: rows of a registry, taken by global index.

The registry is turned into NumPy columns and a pandas index once; a query takes from them. Every frame that leaves
here owns its columns, so a caller who edits `adata.var` edits nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class VarFrame:
    """One registry as columns, its features by ascending global index."""

    def __init__(self, registry: pl.DataFrame) -> None:
        import pandas as pd

        indexed = registry.drop_nulls("global_index").sort("global_index")
        frame = indexed.drop("uid").to_pandas()
        self._uids = pd.Index(indexed["uid"].to_numpy(), dtype=object, name="uid")
        _ = self._uids.is_unique  # found once here, known to every frame of all features
        self._global_index = indexed["global_index"].to_numpy()
        # So it is in every registry that optimize() numbered; another writer may have left gaps.
        self._is_contiguous = len(indexed) == 0 or int(self._global_index[-1]) == len(indexed) - 1
        self._columns = {name: frame[name].array for name in ["global_index", *frame.columns.drop("global_index")]}

    def __len__(self) -> int:
        return len(self._uids)

    def take(self, global_index: np.ndarray) -> pd.DataFrame:
        """Frame of these features in this order, index `uid`; columns `global_index`, then the registry's own."""
        import pandas as pd

        if len(global_index) == len(self):
            # Ascending and as many as there are: all of them.
            return pd.DataFrame({k: v.copy() for k, v in self._columns.items()}, index=self._uids, copy=False)
        rows = global_index if self._is_contiguous else np.searchsorted(self._global_index, global_index)
        columns = {name: values.take(rows) for name, values in self._columns.items()}
        return pd.DataFrame(columns, index=self._uids.take(rows), copy=False)
