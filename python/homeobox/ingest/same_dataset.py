"""Whether a dataset that something is to be added to is still the one that it was planned for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from homeobox.catalog.sql import quote, quote_column
from homeobox.errors import ConflictError

if TYPE_CHECKING:
    from homeobox.catalog import Catalog


def check_same_dataset(catalog: Catalog, planned: Mapping[str, Any]) -> None:
    """To be asked under a claim on a part of its group, which keeps the group from being removed from then on.

    Parameters
    ----------
    planned
        The dataset row of then. A uid may be given again to another dataset, so the time counts too.

    Raises
    ------
    ConflictError
        The row is gone or another's, or no cell points to the group any more.
    """
    group = planned["zarr_group"]
    row = catalog.datasets.by_group().get(group)
    same = row is not None and all(row[column] == planned[column] for column in ("uid", "created_at"))
    pointer = f"{quote_column(planned['feature_space'])}.zarr_group"
    if not same or not catalog.count_cells(f"{pointer} = {quote(group)}"):
        raise ConflictError(
            f"the dataset of zarr group '{group}' was deleted or replaced in {catalog.location} while something was "
            "to be added to it; nothing was added"
        )
