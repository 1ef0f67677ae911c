"""Ingest of one matrix with its cells and features: the entry point that users call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.commit import write_dataset
from homeobox.ingest.dataset_plan import (
    FeatureOrder,
    IngestOptions,
    check_request,
    check_writable,
    plan_dataset,
    wants_cell_names,
)
from homeobox.ingest.encoding import Codec
from homeobox.ingest.feature_uids import with_feature_uids
from homeobox.ingest.scratch import scratch_directory
from homeobox.ingest.sources import Reading, SourceDataset, open_source, read_dataset, select_feature_type, with_columns
from homeobox.schema import DatasetRecord, PointerKind, get_spec
from homeobox.schema.byte_sizes import parse_bytes

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from homeobox.catalog import Catalog


class HasCatalog(Protocol):
    """An atlas, as far as an ingest needs one."""

    @property
    def catalog(self) -> Catalog: ...


def add_from_anndata(
    atlas: HasCatalog,
    adata: anndata.AnnData | str | os.PathLike[str],
    *,
    feature_space: str,
    zarr_layer: str | None = None,
    dataset_record: DatasetRecord,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    codec: Codec = "bp128",
    feature_order: FeatureOrder = "expression",
    source: str = "X",
    layers: Mapping[str, str] | None = None,
    feature_type: str | None = None,
    feature_uids: str | Sequence[str] | None = None,
    obs: pd.DataFrame | None = None,
    var: pd.DataFrame | None = None,
    memory: int | str = "1GiB",
    whole_counts: bool = True,
) -> int:
    """Add a dataset to an atlas: wholly, or not at all.

    Everything is checked before the first byte is written, and the append of the cell rows, which comes last, makes
    the dataset visible. After a failure the same call simply works again.

    Parameters
    ----------
    atlas : RaggedAtlas
        Writable, opened with its cell schema; the features must be registered.
    adata : anndata.AnnData, str or path
        An AnnData in memory or backed by a file; or a path to an h5ad file, a 10x HDF5 file (Cell Ranger 2 and later),
        a 10x folder (matrix.mtx, barcodes.tsv, and features.tsv or genes.tsv, plain or .gz) or a loom file, told
        apart by what is in them. The matrix may be a NumPy array, or a SciPy or stored one by rows, by columns or of
        coordinates; rows need not be sorted, and stored zeros stay. Repeated entries stay too, but of coordinates in
        memory SciPy makes one of their sum.
        ``var["global_feature_uid"]`` names the registered feature of each column. Of `obs` the columns of the cell
        schema are taken, by name; floats are rounded to the column's type, such as float64 to float32.
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
    source : str
        Which matrix: "X", "raw" (which has features of its own), or "layers/<name>".
    layers : mapping of str to str, optional
        Several layers at once, instead of `zarr_layer` and `source`: for each stored layer its source, as in
        ``{"counts": "layers/counts", "log_normalized": "X"}``. In a sparse feature space they must have their entries
        at the same places.
    feature_type : str, optional
        Take only the features of this type, by ``var["feature_types"]``: of a 10x file with proteins "Gene Expression"
        or "Antibody Capture".
    feature_uids : str or sequence of str, optional
        Instead of ``var["global_feature_uid"]``: the column of `var` that has the uids, "index" for the names of its
        rows, or the uids themselves. For 10x files "gene_ids" is such a column.
    obs, var : pandas.DataFrame, optional
        Columns to add to those of the source, or to take in their place; rows are matched by name, or one by one where
        the index is a plain numbered one.
    memory : int or str
        Bound of the memory that reading a file takes, in bytes or as text; several layers share it. What has to be
        sorted and does not fit goes to a file without a name beside the arrays of a local atlas, or in the directory
        for temporary files. A file whose compressed chunks are larger than half of it is refused. Dense matrices in
        chunks of many cells, as in loom files, are decompressed once in a reading only where an eighth of it holds a
        band of chunks.
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
        Something does not fit, or the file is damaged; nothing was written.
    NotFoundError
        There is no file of this name.
    UnsupportedError
        A kind of file that is not read, or a feature space without features.
    ConflictError
        Another process is writing a group of this name.

    Notes
    -----
    Stage: stable. Reads the matrix twice (once to check it and to sum up the features), and three times what is stored
    by columns or as text, and what is dense and goes into a sparse feature space; `feature_type` of a sparse matrix
    takes one more. A sparse matrix in memory is copied unless it is stored by rows, one stored by columns only where
    half of `memory` holds the copy; a dense one is if not in C order. SciPy sums up the repeated entries of coordinates
    in memory when it turns them into rows; those of other matrices stay as they are.
    """
    wanted = _wanted_layers(zarr_layer, source, layers)
    options = IngestOptions(
        chunk_shape=None if chunk_shape is None else tuple(chunk_shape),
        shard_shape=None if shard_shape is None else tuple(shard_shape),
        codec=codec,
        feature_order=feature_order,
        whole_counts=whole_counts,
    )
    catalog = atlas.catalog
    # Layers are read side by side, so each has its share.
    reading = Reading(parse_bytes(memory) // len(wanted), scratch_directory(catalog))
    check_writable(catalog)
    check_request(catalog, feature_space, list(wanted), dataset_record)
    with open_source(adata, reading) as opened:
        whole_rows = get_spec(feature_space).pointer_kind is PointerKind.DENSE
        # Further columns of obs are joined by the names of cells.
        cell_names = obs is not None or wants_cell_names(catalog)
        dataset = read_dataset(opened, list(wanted.values()), whole_rows, cell_names)
        found = select_feature_type(dataset, feature_type)
        described = SourceDataset(
            found.name,
            found.matrix,
            with_columns(found.obs, obs, "obs"),
            with_feature_uids(with_columns(found.var, var, "var"), feature_uids),
            found.obsm,
        )
        plan = plan_dataset(catalog, described, feature_space, list(wanted), dataset_record, options)
        return write_dataset(catalog, plan)


def _wanted_layers(zarr_layer: str | None, source: str, layers: Mapping[str, str] | None) -> dict[str, str]:
    """Stored layer -> its source."""
    if layers is None:
        if zarr_layer is None:
            raise InvalidArgumentError("zarr_layer is missing; it names the stored layer, such as 'counts'")
        return {zarr_layer: source}
    if zarr_layer is not None or source != "X":
        raise InvalidArgumentError("layers names stored layers and their sources, so zarr_layer and source must not")
    if not layers:
        raise InvalidArgumentError("layers is empty, expected at least one stored layer and its source")
    return in_stored_order(layers)


def in_stored_order(layers: Mapping[str, str]) -> dict[str, str]:
    """Stored layer -> its source, counts first: the features of a group follow the totals of its first layer."""
    return dict(sorted(layers.items(), key=lambda item: item[0] != "counts"))


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
