"""One reading of a sparse source before anything is written: feature totals, and whether its entries hold.

Every entry is looked at here, so that whatever is wrong with one is said before the first byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homeobox import _core
from homeobox.errors import InvalidArgumentError
from homeobox.ingest.sources import CsrSource, check_columns


def survey_rows(matrix: CsrSource, layers: Sequence[str], whole_counts: bool = True) -> np.ndarray:
    """Read `matrix` once and return the sum of each column of its first layer, float64 [n_features].

    Raises
    ------
    InvalidArgumentError
        There are no entries, a column lies outside the matrix, or the layer `counts` holds only zeros or what no count
        is: NaN, infinite or negative values, or fractions where `whole_counts` is asked for.
    """
    if not matrix.n_entries:
        raise InvalidArgumentError(f"{matrix.name} has no stored values; there is nothing to ingest")
    # Beside the first layer only counts have anything to be looked for.
    looked_at = sorted({0, *(i for i, layer in enumerate(layers) if layer == "counts")})
    summaries = {i: _core.CsrSummary(matrix.shape[1]) for i in looked_at}
    for block in matrix.entry_blocks():
        for i, summary in summaries.items():
            try:
                summary.add(block.indices, block.layers[i], int(block.indptr[0]), int(block.indptr[-1]))
            except InvalidArgumentError:
                check_columns(block.read().indices, matrix.shape[1], matrix.name)  # tells which matrix it is
                raise
            if layers[i] == "counts" and _is_suspicious(summary, whole_counts):
                check_counts(block.read().layers[i], matrix.name, whole_counts)
    if "counts" in layers and not summaries[layers.index("counts")].totals.any():
        raise InvalidArgumentError(f"{matrix.name} holds only zeros, which are no counts; there is nothing to ingest")
    return summaries[0].totals


def _is_suspicious(summary: _core.CsrSummary, whole_counts: bool) -> bool:
    return summary.has_negative or summary.has_nonfinite or (whole_counts and summary.has_fraction)


def check_counts(values: np.ndarray, name: str, whole: bool) -> None:
    """Refuse what no count is.

    Raises
    ------
    InvalidArgumentError
        NaN, infinite or negative values, or fractions where `whole` is asked for; gives one.
    """
    if values.dtype.kind == "u" or not values.size:
        return
    # Of a float array the smallest value is NaN if any is.
    lowest = values.min()
    if values.dtype.kind == "f" and not (np.isfinite(lowest) and np.isfinite(values.max())):
        raise InvalidArgumentError(f"{name} holds NaN or infinite values, which cannot be counts")
    if lowest < 0:
        raise InvalidArgumentError(f"{name} holds negative values, such as {lowest}, which cannot be counts")
    if whole and values.dtype.kind == "f":
        fractional = values != np.trunc(values)
        if fractional.any():
            raise InvalidArgumentError(
                f"{name} holds fractional values, such as {values[fractional][0]}, which cannot be counts. If it is "
                "normalised: raw counts are often in adata.raw or in a layer. If these are corrected counts: "
                "whole_counts=False takes them"
            )
