"""Columns that the caller adds to the obs or var of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pandas as pd


def with_columns(frame: pd.DataFrame, added: pd.DataFrame | None, axis: str) -> pd.DataFrame:
    """`frame` with the columns of `added`, which replace those of the same name.

    Rows of `added` are matched by name where its index holds every name of `frame` once, in any order and possibly
    among others; a frame with a plain numbered index is taken row by row.

    Raises
    ------
    InvalidArgumentError
        Neither way fits.
    """
    import pandas as pd

    if added is None:
        return frame
    if not isinstance(added, pd.DataFrame):
        raise InvalidArgumentError(f"{axis} must be a pandas DataFrame, found {type(added).__name__}")
    if isinstance(added.index, pd.RangeIndex) and len(added) == len(frame):
        matched = added.set_axis(frame.index)
    elif added.index.is_unique:
        places = added.index.get_indexer(frame.index)
        missing = frame.index[places < 0]
        if len(missing):
            raise InvalidArgumentError(
                f"the index of {axis} lacks {len(missing)} of the {len(frame)} names of the source, such as "
                f"{missing[0]!r}; found {list(added.index[:3])}"
            )
        matched = added.iloc[places].set_axis(frame.index)
    else:
        raise InvalidArgumentError(f"the index of {axis} must hold each name once, or be a plain numbered one")
    kept = frame.drop(columns=[column for column in added.columns if column in frame.columns])
    return pd.concat([kept, matched], axis=1)
