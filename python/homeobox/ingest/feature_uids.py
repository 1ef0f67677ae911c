"""The feature uids of a source: which registered feature each column of the matrix is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    import pandas as pd

UID_COLUMN = "global_feature_uid"


def read_feature_uids(var: pd.DataFrame) -> list[str]:
    """`var["global_feature_uid"]` as text, in var order; that they are distinct and registered is checked later.

    Raises
    ------
    InvalidArgumentError
        The column is missing, or a value is missing or is not text.
    """
    import pandas as pd

    if UID_COLUMN not in var.columns:
        raise InvalidArgumentError(
            f"var has no column '{UID_COLUMN}', which names the registered feature of each matrix column; "
            f"found {list(var.columns)}"
        )
    column = var[UID_COLUMN]
    if isinstance(column, pd.DataFrame):
        raise InvalidArgumentError(f"var has {column.shape[1]} columns named '{UID_COLUMN}', expected one")
    missing = np.flatnonzero(column.isna().to_numpy())
    if len(missing):
        raise InvalidArgumentError(
            f"var['{UID_COLUMN}'] has {len(missing)} missing value(s), the first in row {missing[0]} "
            f"({var.index[missing[0]]!r})"
        )
    uids = column.tolist()
    other = next((type(uid).__name__ for uid in uids if not isinstance(uid, str)), None)
    if other is not None:
        raise InvalidArgumentError(f"var['{UID_COLUMN}'] must hold text, found {other}")
    return uids
