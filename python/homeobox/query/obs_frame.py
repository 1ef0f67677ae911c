"""`obs` of a result: an Arrow table of the cell table's columns as a pandas frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.types as pat

if TYPE_CHECKING:
    import pandas as pd


def obs_frame(table: pa.Table) -> pd.DataFrame:
    """Columns in their order; `uid` is the index where it was selected, else rows are numbered as text.

    Column by column, which skips the consolidation that takes longer than the conversion of a few hundred cells.
    """
    import pandas as pd

    rows = pd.RangeIndex(table.num_rows)
    columns = {name: _column(table[name]) for name in table.column_names if name != "uid"}
    frame = pd.DataFrame(columns, index=rows, copy=False)
    if "uid" in table.column_names:
        frame.index = pd.Index(table["uid"].to_pandas(), dtype=object, name="uid")
    else:
        frame.index = rows.astype(str)
    return frame


def _column(values: pa.ChunkedArray) -> pd.Series:
    """One column that the caller owns, its values exact and of a kind that h5ad files hold."""
    import pandas as pd

    kind = values.type
    if values.null_count and (pat.is_integer(kind) or pat.is_boolean(kind)):
        # As NumPy arrays they would become floats (exact to 2**53 only) and mixed objects.
        missing = np.asarray(values.is_null())
        filled = values.fill_null(False if pat.is_boolean(kind) else 0).to_numpy().copy()
        mask = np.array(missing, dtype=bool)
        if pat.is_boolean(kind):
            return pd.Series(pd.arrays.BooleanArray(filled, mask), copy=False)
        return pd.Series(pd.arrays.IntegerArray(filled, mask), copy=False)
    if pat.is_temporal(kind) or pat.is_nested(kind):
        return values.to_pandas()
    series = values.to_pandas()
    return series if pat.is_string(kind) or pat.is_large_string(kind) else series.copy()
