"""`obs` of a result: an Arrow table of the cell table's columns as a pandas frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from homeobox.query.frame_columns import is_vector, to_series

if TYPE_CHECKING:
    import pandas as pd


def obs_frame(table: pa.Table) -> pd.DataFrame:
    """Columns in their order, without vectors; `uid` is the index where it was selected, else rows are numbered.

    Column by column, which skips the consolidation that takes longer than the conversion of a few hundred cells.
    """
    import pandas as pd

    rows = pd.RangeIndex(table.num_rows)
    fields = [field for field in table.schema if field.name != "uid" and not is_vector(field)]
    columns = {field.name: to_series(table[field.name], field) for field in fields}
    frame = pd.DataFrame(columns, index=rows, copy=False)
    if "uid" in table.column_names:
        frame.index = pd.Index(table["uid"].to_pandas(), dtype=object, name="uid")
    else:
        frame.index = rows.astype(str)
    return frame
