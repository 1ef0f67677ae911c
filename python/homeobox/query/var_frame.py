"""`var` of a result: rows of a registry, taken by global index.

The registry is turned into a pandas frame once; a query takes from it. Every frame that leaves here owns its columns,
so a caller who edits `adata.var` edits nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from homeobox.query.frame_columns import is_vector, to_series, vectors

if TYPE_CHECKING:
    import pandas as pd


class VarFrame:
    """One registry as a frame, its features by ascending global index."""

    def __init__(self, registry: pa.Table) -> None:
        import pandas as pd

        indexed = registry.filter(pc.is_valid(registry["global_index"])).sort_by("global_index")
        own = [f for f in indexed.schema if f.name not in ("uid", "global_index") and not is_vector(f)]
        fields = [indexed.schema.field("global_index"), *own]
        columns = {field.name: to_series(indexed[field.name], field) for field in fields}
        self._frame = pd.DataFrame(columns)
        self._frame.index = pd.Index(indexed["uid"].to_pandas(), dtype=object, name="uid")
        self._vectors = vectors(indexed)
        self._global_index = indexed["global_index"].to_numpy()
        # So it is in every registry that optimize() numbered; another writer may have left gaps.
        self._is_contiguous = len(self._frame) == 0 or int(self._global_index[-1]) == len(self._frame) - 1

    def take(self, global_index: np.ndarray) -> pd.DataFrame:
        """Frame of these features, in this order, index `uid`; columns `global_index`, then the registry's own."""
        return self._frame.take(self._rows(global_index))

    def take_vectors(self, global_index: np.ndarray) -> dict[str, np.ndarray]:
        """Vectors of these features, as `varm` has them."""
        rows = self._rows(global_index)
        return {key: matrix[rows] for key, matrix in self._vectors.items()}

    def _rows(self, global_index: np.ndarray) -> np.ndarray:
        return global_index if self._is_contiguous else np.searchsorted(self._global_index, global_index)
