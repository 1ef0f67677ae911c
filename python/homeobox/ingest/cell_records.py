"""Cell rows for arrays that the caller wrote: the last step of an ingest, for pipelines that do the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.anndata import HasCatalog
from homeobox.ingest.cell_rows import cell_table, sparse_pointers
from homeobox.ingest.dataset_plan import check_writable, obs_fields
from homeobox.ingest.obs_columns import convert_obs
from homeobox.schema import PointerKind

if TYPE_CHECKING:
    import pandas as pd


def insert_cell_records(
    atlas: HasCatalog,
    obs_df: pd.DataFrame,
    *,
    feature_space: str,
    zarr_group: str,
    dataset_uid: str,
    starts: Sequence[int] | np.ndarray,
    ends: Sequence[int] | np.ndarray,
    zarr_row_offset: int = 0,
) -> int:
    """Append one cell per row of `obs_df` that points into a sparse group; one commit.

    Parameters
    ----------
    obs_df : pandas.DataFrame, n rows
        Columns of the cell schema, by name.
    zarr_group, dataset_uid : str
        Of a dataset that the atlas has.
    starts, ends : sequence of int, shape (n,)
        Element range of each cell in the group's flat arrays.
    zarr_row_offset : int
        Row of the first cell in the group.

    Returns
    -------
    int
        Number of cells added.

    Raises
    ------
    InvalidArgumentError
        A column does not fit, the ranges are not one per cell or not ascending, the feature space is not sparse, or
        the dataset is unknown. Nothing was written.

    Notes
    -----
    Stage: experimental. That the ranges lie inside the arrays is the caller's promise; a query that breaks it raises.
    """
    catalog = atlas.catalog
    cell_schema = check_writable(catalog)
    field = catalog.pointer_fields.get(feature_space)
    if field is None or field.kind is not PointerKind.SPARSE:
        raise InvalidArgumentError(f"cell schema has no pointer field for a sparse feature space '{feature_space}'")
    dataset = catalog.datasets.by_group().get(zarr_group)
    if dataset is None or dataset["uid"] != dataset_uid:
        raise InvalidArgumentError(f"the atlas has no dataset '{dataset_uid}' with zarr group '{zarr_group}'")
    n_cells = len(obs_df)
    begins, stops = np.asarray(starts, dtype=np.int64), np.asarray(ends, dtype=np.int64)
    if begins.shape != (n_cells,) or stops.shape != (n_cells,) or bool(np.any(begins < 0) or np.any(stops < begins)):
        raise InvalidArgumentError(f"starts and ends must be {n_cells} ranges, one per row of obs_df, none negative")
    obs = convert_obs(obs_df, obs_fields(catalog), cell_schema.model_fields)
    struct = catalog.cells_schema.field(field.name).type
    pointers = sparse_pointers(struct, feature_space, zarr_group, begins, stops, zarr_row_offset)
    rows = cell_table(
        catalog.cells_schema,
        catalog.pointer_fields,
        obs,
        dataset_uid=dataset_uid,
        present={field.name: pointers},
        n_cells=n_cells,
    )
    catalog.append_cells(rows)
    return n_cells
