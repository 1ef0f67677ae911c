"""Ingest from MuData: cells with several modalities, each a group, in one commit."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from homeobox.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from homeobox.ingest.anndata import HasCatalog, in_stored_order
from homeobox.ingest.commit import check_together, write_groups
from homeobox.ingest.dataset_plan import (
    DatasetPlan,
    FeatureOrder,
    IngestOptions,
    check_writable,
    obs_fields,
    plan_dataset,
)
from homeobox.ingest.encoding import Codec
from homeobox.ingest.feature_uids import with_feature_uids
from homeobox.ingest.group_plan import CellsOfGroup, MatrixGroup
from homeobox.ingest.modality_obs import ModalityObs, cell_columns, cell_vectors
from homeobox.ingest.obs_columns import convert_cells
from homeobox.ingest.sources import Reading, SourceDataset, open_source, read_dataset
from homeobox.schema import AUTO_FIELDS, ColumnInfo, DatasetRecord, PointerKind, get_spec

if TYPE_CHECKING:
    import mudata
    import pandas as pd

    from homeobox.catalog import Catalog


def add_from_mudata(
    atlas: HasCatalog,
    mdata: mudata.MuData | str | os.PathLike[str],
    *,
    modalities: Mapping[str, tuple[str, str | Mapping[str, str]]],
    dataset_records: Mapping[str, DatasetRecord],
    codec: Codec = "bp128",
    feature_order: FeatureOrder = "expression",
    whole_counts: bool = True,
    feature_uids: Mapping[str, str | Sequence[str]] | None = None,
) -> int:
    """Add cells with several modalities to an atlas: one row per cell with all its pointers, wholly or not at all.

    Each modality becomes a group and a row of the dataset table. A cell that lacks a modality gets its zero-filled
    pointer. Everything is checked before the first byte is written, and one append of all cell rows comes last.

    Parameters
    ----------
    atlas : RaggedAtlas
        Writable, opened with its cell schema; the features of every modality must be registered.
    mdata : mudata.MuData or path of an .h5mu file
        Modalities that share cells (``axis`` 0). Each has ``var["global_feature_uid"]``.
    modalities : mapping
        Name in `mdata` -> (feature space, layer), the layer being made of the modality's `X`; or, for another matrix or
        several, (feature space, {layer: source}) with sources as of :func:`add_from_anndata`: "X", "raw" (which has
        features of its own) and "layers/<name>". An analysed CITE-seq file may want
        ``{"rna": ("gene_expression", {"counts": "layers/counts", "log_normalized": "X"}), "prot":
        ("protein_abundance", {"counts": "raw"})}``. Cells carry the dataset uid of the first one.
    dataset_records : mapping
        Name in `mdata` -> its dataset row; `n_cells` is the number of cells of that modality.
    codec, feature_order, whole_counts
        As for :func:`add_from_anndata`, for every modality.
    feature_uids : mapping, optional
        Name in `mdata` -> as for :func:`add_from_anndata`, for modalities without ``var["global_feature_uid"]``.

    Returns
    -------
    int
        Number of cells added.

    Raises
    ------
    InvalidArgumentError
        Something does not fit, says of which modality; nothing was written.
    UnsupportedError
        Modalities that share features instead of cells, or a modality that is no matrix.
    ConflictError
        Another process is writing a group of one of the names.

    Notes
    -----
    Stage: experimental. A column `c` of the cell schema is taken from ``mdata.obs["c"]``; else, if it is named like
    ``rna_c``, from column ``c`` of modality ``rna``; else from column ``c`` of the modalities, which must agree where
    they share a cell. What no field takes is named in a warning. Vectors come from ``mdata.obsm``, or else from obsm of
    the modality that has one of this name, or that is named as in ``column(obsm="rna:X_pca")``; cells without the
    modality get a null. A path and what is backed by a file are read into memory.
    """
    catalog = atlas.catalog
    cell_schema = check_writable(catalog)
    for argument, given in (("modalities", modalities), ("dataset_records", dataset_records)):
        if not isinstance(given, Mapping):
            raise InvalidArgumentError(f"{argument} must be a dict by modality, found {type(given).__name__}")
    wanted = {name: _space_and_layers(name, place) for name, place in modalities.items()}
    _check_names(modalities, dataset_records)
    check_together([dataset_records[name] for name in modalities])
    source = _read(mdata)
    rows = {name: _row_of_cell(source, name) for name in modalities}
    kept = _cells_with_data(source, rows)
    rows = {name: row[kept] for name, row in rows.items()}

    parts = {name: ModalityObs(source.mod[name].obs, row, source.mod[name].obsm) for name, row in rows.items()}
    fields = obs_fields(catalog)
    sources = [ColumnInfo.of_metadata(field.metadata).source for field in fields]
    names = dict.fromkeys(name for name in [*(field.name for field in fields), *sources] if name is not None)
    frame, unused = cell_columns(names, source.obs.iloc[kept], parts)
    _warn_of_unused(unused)
    vectors = [field for field in fields if pa.types.is_fixed_size_list(field.type)]
    keys = [key for field in vectors for key in (ColumnInfo.of_metadata(field.metadata).obsm, field.name) if key]
    obsm = cell_vectors(keys, {key: _rows(values, kept) for key, values in source.obsm.items()}, parts)
    obs = convert_cells(frame, obsm, fields, cell_schema.model_fields)
    options = IngestOptions(codec=codec, feature_order=feature_order, whole_counts=whole_counts)
    plans = [
        _plan_modality(
            catalog,
            name,
            _modality(source.mod[name], list(layers.values()), rows[name], frame, obsm, (feature_uids or {}).get(name)),
            space,
            list(layers),
            dataset_records[name],
            options,
        )
        for name, (space, layers) in wanted.items()
    ]
    groups = [CellsOfGroup(MatrixGroup(plan), row) for plan, row in zip(plans, rows.values(), strict=True)]
    return write_groups(catalog, groups, obs, len(kept))


def _check_names(modalities: Mapping[str, Any], records: Mapping[str, DatasetRecord]) -> None:
    if not modalities:
        raise InvalidArgumentError(
            "modalities is empty; name at least one, such as {'rna': ('gene_expression', 'counts')}"
        )
    if set(modalities) != set(records):
        raise InvalidArgumentError(
            f"dataset_records must name the modalities {sorted(modalities)}, found {sorted(records)}"
        )
    for name, record in records.items():
        if not isinstance(record, DatasetRecord):
            raise InvalidArgumentError(
                f"dataset_records['{name}'] must be a DatasetRecord, found {type(record).__name__}"
            )


def _space_and_layers(name: str, place: Any) -> tuple[str, dict[str, str]]:
    """The feature space of a modality, and stored layer -> its source, counts first."""
    if isinstance(place, tuple | list) and len(place) == 2:
        space, layers = place
        if isinstance(layers, str):
            layers = {layers: "X"}
        if isinstance(layers, Mapping) and layers and all(isinstance(text, str) for text in [space, *layers.values()]):
            return space, in_stored_order(layers)
    raise InvalidArgumentError(
        f"modalities['{name}'] must be (feature space, layer) or (feature space, {{layer: source}}), found {place!r}"
    )


def _read(mdata: Any) -> Any:
    if isinstance(mdata, str | os.PathLike):
        import mudata

        if not os.path.exists(mdata):
            raise NotFoundError(f"mdata: there is no file '{os.fspath(mdata)}'")
        try:
            mdata = mudata.read_h5mu(mdata)
        except (OSError, KeyError, ValueError, TypeError) as error:  # a TypeError of an h5ad file
            raise InvalidArgumentError(
                f"mdata: the file '{os.fspath(mdata)}' is not a readable h5mu; if it is an h5ad, "
                f"add_from_anndata takes it: {error}"
            ) from error
    if not (hasattr(mdata, "mod") and hasattr(mdata, "obsmap")):
        raise UnsupportedError(f"mdata must be a MuData or the path of an h5mu file, found {type(mdata).__name__}")
    if mdata.axis != 0:
        raise UnsupportedError(f"mdata.axis is {mdata.axis}: its modalities do not share cells; expected 0")
    return mdata


def _row_of_cell(mdata: Any, name: str) -> np.ndarray:
    """Row of each cell of `mdata` in a modality, -1 where it lacks it; int64."""
    if name not in mdata.mod:
        raise InvalidArgumentError(f"mdata has no modality '{name}', it has {list(mdata.mod)}")
    modality = mdata.mod[name]
    rows = np.asarray(mdata.obsmap[name]).ravel().astype(np.int64) - 1
    present = np.flatnonzero(rows >= 0)
    whole = np.array_equal(np.sort(rows[present]), np.arange(modality.n_obs))
    if not whole or not np.array_equal(mdata.obs_names[present], modality.obs_names[rows[present]]):
        raise InvalidArgumentError(
            f"mdata.obsmap['{name}'] does not name every cell of the modality once; call mdata.update() after a "
            "modality was changed"
        )
    return rows


def _cells_with_data(mdata: Any, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Positions of the cells that have one of the modalities."""
    present = np.zeros(mdata.n_obs, dtype=bool)
    for row in rows.values():
        present |= row >= 0
    n_without = mdata.n_obs - int(np.count_nonzero(present))
    if n_without:
        warnings.warn(
            f"{n_without} of {mdata.n_obs} cells have none of the modalities {list(rows)} and are left out",
            stacklevel=3,
        )
    return np.flatnonzero(present)


def _warn_of_unused(columns: Sequence[str]) -> None:
    dropped = [name for name in columns if name.rpartition(":")[2] not in AUTO_FIELDS]
    if dropped:
        warnings.warn(
            f"obs column(s) {dropped} are not in the cell table and are left out; name the schema's fields after them",
            stacklevel=3,
        )


def _rows(values: Any, rows: np.ndarray) -> Any:
    return values.iloc[rows] if hasattr(values, "iloc") else values[rows]


def _modality(
    modality: Any,
    matrices: Sequence[str],
    row_of_cell: np.ndarray,
    frame: pd.DataFrame,
    obsm: Mapping[str, Any],
    feature_uids: str | Sequence[str] | None,
) -> Callable[[bool], SourceDataset]:
    """Opens a modality, with whole rows or not, and with what is known of its cells, in its own order."""
    cells = np.flatnonzero(row_of_cell >= 0)
    cells = cells[np.argsort(row_of_cell[cells])]

    def opened(whole_rows: bool) -> SourceDataset:
        in_memory = modality.to_memory() if modality.isbacked else modality  # the file has it elsewhere than an h5ad
        found = read_dataset(open_source(in_memory, Reading()), matrices, whole_rows)
        # The plan of a matrix looks at obs too.
        obs = frame.iloc[cells].set_axis(modality.obs_names)
        vectors = {key: _rows(values, cells) for key, values in obsm.items()}
        return SourceDataset("the modality", found.matrix, obs, with_feature_uids(found.var, feature_uids), vectors)

    return opened


def _plan_modality(
    catalog: Catalog,
    name: str,
    opened: Callable[[bool], SourceDataset],
    space: str,
    layers: Sequence[str],
    record: DatasetRecord,
    options: IngestOptions,
) -> DatasetPlan:
    try:
        source = opened(get_spec(space).pointer_kind is PointerKind.DENSE)
        return plan_dataset(catalog, source, space, layers, record, options)
    except (InvalidArgumentError, NotFoundError, UnsupportedError) as error:
        raise type(error)(f"modality '{name}': {error}") from error
