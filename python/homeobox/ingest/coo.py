"""Ingest of a text file with one entry per line: feature, cell, value."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox.errors import InvalidArgumentError, NotFoundError
from homeobox.ingest.anndata import HasCatalog
from homeobox.ingest.commit import write_dataset
from homeobox.ingest.dataset_plan import FeatureOrder, IngestOptions, check_request, check_writable, plan_dataset
from homeobox.ingest.encoding import Codec
from homeobox.ingest.scratch import scratch_directory
from homeobox.ingest.sources import EntriesAsRows, Reading, SourceDataset, TextEntries
from homeobox.schema import DatasetRecord, PointerKind, get_spec
from homeobox.schema.byte_sizes import parse_bytes

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def add_coo_batch(
    atlas: HasCatalog,
    coo_path: str | os.PathLike[str],
    *,
    obs_df: pd.DataFrame | pl.DataFrame,
    var_df: pl.DataFrame | pd.DataFrame,
    feature_space: str,
    zarr_layer: str,
    dataset_record: DatasetRecord,
    n_cells: int,
    n_features: int,
    separator: str = "\t",
    gene_col: int = 0,
    cell_col: int = 1,
    value_col: int = 2,
    one_indexed: bool = True,
    value_dtype: Any = np.int32,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    codec: Codec = "bp128",
    feature_order: FeatureOrder = "expression",
    memory: int | str = "1GiB",
    whole_counts: bool = True,
) -> int:
    """Add a dataset from a text file of entries, plain or gzip, in any order: wholly, or not at all.

    Parameters
    ----------
    atlas : RaggedAtlas
        Writable, opened with its cell schema; the features must be registered.
    coo_path : str or path
        One entry per line, no heading; ``.gz`` is unpacked as it is read.
    obs_df, var_df : DataFrame of pandas or polars, n_cells and n_features rows
        As `obs` and `var` for :func:`add_from_anndata`: cell `i` of the file is row `i` of `obs_df`.
    n_cells, n_features : int
        Shape of the matrix; `dataset_record` has the same `n_cells`.
    separator : str
        One character.
    gene_col, cell_col, value_col : int
        Fields of a line, counted from 0.
    one_indexed : bool
        Whether the first cell and feature are 1 in the file, else 0.
    value_dtype : dtype
        Of the values; those that do not parse as such are refused.
    feature_space, zarr_layer, dataset_record, chunk_shape, shard_shape, codec, feature_order, memory, whole_counts
        As for :func:`add_from_anndata`.

    Returns
    -------
    int
        Number of cells added.

    Raises
    ------
    InvalidArgumentError
        Something does not fit, or the feature space is not sparse; nothing was written.
    NotFoundError
        There is no such file.

    Notes
    -----
    Stage: experimental. Reads the text twice, to count the entries of each cell and to put them in order; what does not
    fit in half of `memory` goes to a file without a name.
    """
    catalog = atlas.catalog
    check_writable(catalog)
    check_request(catalog, feature_space, [zarr_layer], dataset_record)
    if get_spec(feature_space).pointer_kind is not PointerKind.SPARSE:
        raise InvalidArgumentError(
            f"feature space '{feature_space}' is not sparse; entries of a matrix are no rows of it"
        )
    path = Path(coo_path)
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}")
    obs, var = _pandas(obs_df), _pandas(var_df)
    for name, frame, size in (("obs_df", obs, n_cells), ("var_df", var, n_features)):
        if len(frame) != size:
            raise InvalidArgumentError(f"{name} has {len(frame)} rows, expected {size}")
    reading = Reading(parse_bytes(memory), scratch_directory(catalog))
    entries = TextEntries(
        path,
        (cell_col, gene_col, value_col),
        np.dtype(value_dtype),
        separator,
        first_index=int(one_indexed),
        memory_bytes=reading.memory_bytes,
    )
    matrix = EntriesAsRows(entries.pieces, (n_cells, n_features), entries.dtype, path.name, reading)
    options = IngestOptions(
        chunk_shape=None if chunk_shape is None else tuple(chunk_shape),
        shard_shape=None if shard_shape is None else tuple(shard_shape),
        codec=codec,
        feature_order=feature_order,
        whole_counts=whole_counts,
    )
    source = SourceDataset(path.name, matrix, obs, var)
    return write_dataset(catalog, plan_dataset(catalog, source, feature_space, [zarr_layer], dataset_record, options))


def _pandas(frame: Any) -> pd.DataFrame:
    return frame.to_pandas() if hasattr(frame, "to_pandas") else frame
