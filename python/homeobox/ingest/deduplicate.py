"""Columns of a matrix that are the same feature, summed into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.feature_uids import UID_COLUMN

if TYPE_CHECKING:
    import pandas as pd
    import scipy.sparse as sp


def deduplicate_var(mat: Any, var_df: pd.DataFrame, uid_column: str = UID_COLUMN) -> tuple[sp.csr_matrix, pd.DataFrame]:
    """Sum the columns of equal uid, and keep the first var row of each.

    Parameters
    ----------
    mat : array or SciPy sparse matrix, shape (n_cells, n_features)
    var_df : pandas.DataFrame, n_features rows
    uid_column : str
        Column of `var_df` with the uids.

    Returns
    -------
    matrix : scipy.sparse.csr_matrix, shape (n_cells, n_distinct)
        In the dtype of `mat`, or in int64 where a sum of integers would not fit.
    var : pandas.DataFrame, n_distinct rows
        By ascending uid if there were duplicates; else all as they were, as it is without the column.

    Raises
    ------
    InvalidArgumentError
        `var_df` has not one row per column, or a uid is missing.

    Notes
    -----
    Stage: stable. Takes memory for a second copy.
    """
    import scipy.sparse

    csr = scipy.sparse.csr_matrix(mat)
    if len(var_df) != csr.shape[1]:
        raise InvalidArgumentError(f"var_df has {len(var_df)} rows, but the matrix has {csr.shape[1]} columns")
    if uid_column not in var_df.columns or var_df[uid_column].is_unique:
        return csr, var_df
    missing = int(var_df[uid_column].isna().sum())
    if missing:
        raise InvalidArgumentError(f"var_df['{uid_column}'] has {missing} missing value(s), which name no feature")
    uids = var_df[uid_column].to_numpy(dtype=object)
    _, first, column_of = np.unique(uids.astype(str), return_index=True, return_inverse=True)
    data = csr.data.astype(np.int64) if csr.dtype.kind in "biu" else csr.data.copy()
    summed = scipy.sparse.csr_matrix(
        (data, column_of[csr.indices], csr.indptr.copy()), shape=(csr.shape[0], len(first))
    )
    summed.sum_duplicates()
    return _narrowed(summed, csr.dtype), var_df.iloc[first]


def _narrowed(matrix: sp.csr_matrix, dtype: np.dtype) -> sp.csr_matrix:
    if matrix.dtype == dtype or dtype.kind == "b":
        return matrix
    limits = np.iinfo(dtype)
    fits = not matrix.nnz or (int(matrix.data.min()) >= limits.min and int(matrix.data.max()) <= limits.max)
    return matrix.astype(dtype) if fits else matrix
