"""`obs` of a result: an Arrow table of the cell table's columns as a pandas frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd


def obs_frame(table: pa.Table) -> pd.DataFrame:
    """Columns in their order; `uid` is the index where it was selected, else rows are numbered as text.

    Column by column, which skips the consolidation that takes longer than the conversion of a few hundred cells.
    """
    import pandas as pd

    rows = pd.RangeIndex(table.num_rows)
    columns = {name: table[name].to_pandas() for name in table.column_names if name != "uid"}
    frame = pd.DataFrame(columns, index=rows, copy=False)
    if "uid" in table.column_names:
        frame.index = pd.Index(table["uid"].to_pandas(), dtype=object, name="uid")
    else:
        frame.index = rows.astype(str)
    return frame
