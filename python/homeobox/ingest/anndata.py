"""Ingest from AnnData: the entry point that users call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from homeobox.errors import UnsupportedError
from homeobox.ingest.commit import write_dataset
from homeobox.ingest.dataset_plan import FeatureOrder, IngestOptions, plan_dataset
from homeobox.ingest.encoding import Codec
from homeobox.schema import DatasetRecord

if TYPE_CHECKING:
    import anndata

    from homeobox.catalog import Catalog


class HasCatalog(Protocol):
    """An atlas, as far as an ingest needs one."""

    @property
    def catalog(self) -> Catalog: ...


def add_from_anndata(
    atlas: HasCatalog,
    adata: anndata.AnnData,
    *,
    feature_space: str,
    zarr_layer: str,
    dataset_record: DatasetRecord,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    codec: Codec = "bp128",
    feature_order: FeatureOrder = "expression",
    whole_counts: bool = True,
) -> int:
    """Add a dataset to an atlas: wholly, or not at all.

    Everything is checked before the first byte is written, and the append of the cell rows, which comes last, makes
    the dataset visible. After a failure the same call simply works again.

    Parameters
    ----------
    atlas : RaggedAtlas
        Writable, opened with its cell schema; the features must be registered.
    adata : anndata.AnnData
        In memory. `X` is stored: a NumPy array, or a SciPy matrix of any format. Stored zeros and repeated entries of
        CSR stay. ``var["global_feature_uid"]`` names the registered feature of each column. Of `obs` the columns of
        the cell schema are taken, by name.
    feature_space : str
        Where the matrix belongs; sparse spaces store rows without zeros, dense ones whole rows.
    zarr_layer : str
        Name of the stored layer, such as "counts".
    dataset_record : DatasetRecord
        Names the group; `n_cells` must be that of `adata`.
    chunk_shape, shard_shape : sequence of int, optional
        Elements (sparse, one size) or rows and columns (dense, two sizes). Default: what suits the codec.
    codec : {"bp128", "bitpacking"}
        "bitpacking" writes what homeobox 0.2.2 reads, and then never reorders features.
    feature_order : {"expression", "as_given"}
        Whether features are stored by falling total, which takes about a third less space. Answers are the same.
    whole_counts : bool
        Refuse fractions in a layer named "counts". False is for counts that were corrected, as for ambient RNA;
        negative, infinite and missing ones are refused all the same.

    Returns
    -------
    int
        Number of cells added.

    Raises
    ------
    InvalidArgumentError
        Something does not fit; nothing was written.
    UnsupportedError
        The source is a file or backed by one, or a feature space without features.
    ConflictError
        Another process is writing a group of this name.

    Notes
    -----
    Stage: stable. Memory: the source, and some 100 MB.
    """
    if not hasattr(adata, "obs") or not hasattr(adata, "X"):
        raise UnsupportedError(
            f"adata must be an AnnData in memory, found {type(adata).__name__}; "
            "read a file first: anndata.read_h5ad(path)"
        )
    options = IngestOptions(
        chunk_shape=None if chunk_shape is None else tuple(chunk_shape),
        shard_shape=None if shard_shape is None else tuple(shard_shape),
        codec=codec,
        feature_order=feature_order,
        whole_counts=whole_counts,
    )
    plan = plan_dataset(atlas.catalog, adata, feature_space, zarr_layer, dataset_record, options)
    return write_dataset(atlas.catalog, plan)


def add_anndata_batch(
    atlas: HasCatalog,
    adata: anndata.AnnData,
    *,
    feature_space: str,
    zarr_layer: str,
    dataset_record: DatasetRecord,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
) -> int:
    """The name that homeobox 0.2.2 has for `add_from_anndata` of an AnnData object. Stage: stable."""
    return add_from_anndata(
        atlas,
        adata,
        feature_space=feature_space,
        zarr_layer=zarr_layer,
        dataset_record=dataset_record,
        chunk_shape=chunk_shape,
        shard_shape=shard_shape,
    )
