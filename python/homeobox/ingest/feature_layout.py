"""The layout of a dataset that the caller wrote: a step of an ingest, for pipelines that do the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.anndata import HasCatalog
from homeobox.ingest.feature_uids import read_feature_uids

if TYPE_CHECKING:
    import anndata


def write_feature_layout(
    atlas: HasCatalog, adata: anndata.AnnData, feature_space: str, zarr_group: str, dataset_uid: str
) -> None:
    """Store the layout of ``adata.var["global_feature_uid"]`` and name it in the dataset's row.

    Parameters
    ----------
    adata : anndata.AnnData
        Only `var` is looked at, in the order of the stored features.
    zarr_group, dataset_uid : str
        Of a dataset that the atlas has.

    Raises
    ------
    InvalidArgumentError
        The atlas has no such dataset, var lacks uids or repeats one. Nothing was written.
    UnknownFeatureError
        Uids that are not registered; also a ValueError.

    Notes
    -----
    Stage: experimental. `add_from_anndata` does this by itself.
    """
    catalog = atlas.catalog
    dataset = catalog.datasets.by_group().get(zarr_group)
    if dataset is None or dataset["uid"] != dataset_uid or dataset["feature_space"] != feature_space:
        raise InvalidArgumentError(
            f"the atlas has no dataset '{dataset_uid}' with zarr group '{zarr_group}' in feature space "
            f"'{feature_space}'"
        )
    layout_uid, rows = catalog.layout_rows(read_feature_uids(adata.var), feature_space)
    catalog.add_layout(rows, feature_space)
    catalog.datasets.set_layout(dataset_uid, layout_uid)
