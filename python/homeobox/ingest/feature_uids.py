"""The feature uids of a source: which registered feature each column of the matrix is."""

from __future__ import annotations

from collections.abc import Sequence
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


def with_feature_uids(var: pd.DataFrame, feature_uids: str | Sequence[str] | None) -> pd.DataFrame:
    """`var` with the column `global_feature_uid`.

    Parameters
    ----------
    feature_uids
        Name of the column that has them, or "index" for the names of the rows; or one uid for each row; None takes
        `var` as it is.

    Raises
    ------
    InvalidArgumentError
        There is no such column, or not one uid for each row.
    """
    if feature_uids is None:
        return var
    if isinstance(feature_uids, str):
        if feature_uids == "index" and "index" not in var.columns:
            return var.assign(**{UID_COLUMN: var.index.to_numpy(dtype=object)})
        if feature_uids not in var.columns:
            raise InvalidArgumentError(
                f"feature_uids: var has no column '{feature_uids}', it has {list(var.columns)}; "
                "'index' takes the names of its rows"
            )
        return var.assign(**{UID_COLUMN: var[feature_uids].to_numpy(dtype=object)})
    if len(feature_uids) != len(var):
        raise InvalidArgumentError(
            f"feature_uids holds {len(feature_uids)} uids, expected one for each of {len(var)} features"
        )
    return var.assign(**{UID_COLUMN: np.asarray(feature_uids, dtype=object)})
