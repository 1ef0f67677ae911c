"""Ingest of fragments: the entry point that users call, and the group that it makes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from homeobox import _core
from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.ingest.anndata import HasCatalog
from homeobox.ingest.cell_rows import sparse_pointers
from homeobox.ingest.commit import write_groups
from homeobox.ingest.dataset_plan import check_writable, obs_fields
from homeobox.ingest.encoding import Codec, make_encoding
from homeobox.ingest.fragments.arrays import BY_CELL, write_by_cell, write_by_genome
from homeobox.ingest.fragments.bed_file import read_fragment_file
from homeobox.ingest.fragments.coded import CodedFragments, code_frame
from homeobox.ingest.fragments.sorting import build_end_max, by_cell, by_genome, order_chromosomes
from homeobox.ingest.group_plan import CellsOfGroup
from homeobox.ingest.group_target import check_target
from homeobox.ingest.obs_columns import convert_obs
from homeobox.ingest.sparse_writer import WrittenObject
from homeobox.schema import DatasetRecord, PointerField

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from homeobox.catalog.registry import Registry

#: Column of a registry that holds the names of chromosomes, as 0.2.2 has it.
NAME_COLUMN = "sequence_name"


def add_fragments(
    atlas: HasCatalog,
    fragments: str | os.PathLike[str] | pl.DataFrame | pd.DataFrame,
    *,
    dataset_record: DatasetRecord,
    obs: pd.DataFrame | None = None,
    barcode_column: str | None = None,
    feature_space: str = "chromatin_accessibility",
    chromosome_uids: Mapping[str, str] | None = None,
    genome_sorted: bool = True,
    chunk_shape: Sequence[int] | None = None,
    shard_shape: Sequence[int] | None = None,
    codec: Codec = "bp128",
) -> int:
    """Add the fragments of a chromatin accessibility dataset: wholly, or not at all.

    Parameters
    ----------
    atlas : RaggedAtlas
        Writable, opened with its cell schema; the chromosomes must be registered as features.
    fragments : path or frame
        A file as :func:`homeobox.fragments.parse_bed_fragments` reads it (4 or 5 columns, plain, gzip or BGZF), or a
        frame with ``chrom``, ``barcode``, ``start`` and ``length`` or ``end``.
    dataset_record : DatasetRecord
        Names the group; `n_cells` is the number of rows of `obs`, or of distinct barcodes without it.
    obs : pandas.DataFrame, optional
        The cells, in this order; barcodes are its index. Fragments of other barcodes are left out, and a cell without
        fragments gets none. Without `obs` each barcode is a cell, by name.
    barcode_column : str, optional
        Column of `obs` that holds the barcodes, instead of its index.
    feature_space : str
        A sparse space whose groups hold the three arrays of ``cell_sorted``.
    chromosome_uids : mapping, optional
        Chromosome -> uid of its feature. Default: the feature with this ``sequence_name``, or else with this uid.
    genome_sorted : bool
        Also write the copy by place in the genome, which `GenomeSortedReader` reads.
    chunk_shape, shard_shape : sequence of int, optional
        Elements, one size. Default: what suits the codec.
    codec : {"bp128", "bitpacking"}
        "bitpacking" writes what homeobox 0.2.2 reads.

    Returns
    -------
    int
        Number of cells added.

    Raises
    ------
    InvalidArgumentError
        Something does not fit; nothing was written.
    CorruptDataError
        The file is cut short or damaged.
    ConflictError
        Another process is writing a group of this name.

    Notes
    -----
    Stage: experimental. A column ``barcode`` of the cell schema that `obs` does not have gets the barcodes. Memory:
    about 60 bytes for each fragment of the file.
    """
    catalog = atlas.catalog
    cell_schema = check_writable(catalog)
    spec, field = check_target(catalog, dataset_record, feature_space)
    if [array.array_name for array in spec.required_arrays] != [
        f"{BY_CELL}/{name}" for name in ("chromosomes", "starts", "lengths")
    ]:
        raise UnsupportedError(f"feature space '{feature_space}' does not hold fragments")
    make_encoding(codec, 1, chunk_shape, shard_shape)  # refuses what cannot be before the file is read
    coded = read_fragment_file(fragments) if isinstance(fragments, str | os.PathLike) else code_frame(fragments)
    cell_ids, frame = _cells(coded, obs, barcode_column)
    if dataset_record.n_cells != len(cell_ids):
        raise InvalidArgumentError(
            f"dataset record says n_cells = {dataset_record.n_cells}, but there are {len(cell_ids)} "
            + ("distinct barcodes" if obs is None else "rows of obs")
        )
    columns = convert_obs(frame, obs_fields(catalog), cell_schema.model_fields)
    chrom_order = order_chromosomes(_used_chromosomes(coded, cell_ids))
    uids = _feature_uids(catalog.registry(feature_space), chrom_order, chromosome_uids)
    layout_uid, layout = catalog.layout_rows(uids, feature_space)
    group = FragmentGroup(
        record=dataset_record.model_copy(update={"layout_uid": layout_uid}),
        pointer_field=field,
        layout=layout,
        by_cell=by_cell(coded, chrom_order, cell_ids),
        by_genome=by_genome(coded, chrom_order, cell_ids) if genome_sorted else None,
        options=(chunk_shape, shard_shape, codec),
    )
    del coded
    return write_groups(catalog, [CellsOfGroup(group)], columns, len(cell_ids))


@dataclass(frozen=True)
class FragmentGroup:
    """A group of fragments, sorted in both ways; implements `GroupPlan`."""

    record: DatasetRecord
    pointer_field: PointerField
    layout: pa.Table | None
    by_cell: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    by_genome: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None
    options: tuple[Sequence[int] | None, Sequence[int] | None, str]

    @property
    def n_rows(self) -> int:
        return len(self.by_cell[3]) - 1

    @property
    def subgroups(self) -> list[str]:
        return []

    def write_arrays(self, store: _core.Store, on_rows: Callable[[int], None]) -> list[WrittenObject]:
        name = self.record.zarr_group
        chromosomes, starts, lengths, _ = self.by_cell
        objects = write_by_cell(store, name, chromosomes, starts, lengths, *self.options, lambda: on_rows(0))
        if self.by_genome is not None:
            cells, starts, lengths, bounds = self.by_genome
            end_max = build_end_max(starts, lengths)
            arrays = (cells, starts, lengths, bounds, end_max)
            objects += write_by_genome(store, name, *arrays, *self.options, lambda: on_rows(0))
        on_rows(self.n_rows)
        return objects

    def pointers(self, struct: pa.StructType) -> pa.StructArray:
        offsets = self.by_cell[3]
        return sparse_pointers(struct, self.record.feature_space, self.record.zarr_group, offsets[:-1], offsets[1:])


def _cells(
    coded: CodedFragments, obs: pd.DataFrame | None, barcode_column: str | None
) -> tuple[list[str], pd.DataFrame]:
    """Barcodes of the cells in their order, and their obs."""
    import pandas as pd

    if obs is None:
        if barcode_column is not None:
            raise InvalidArgumentError("barcode_column names a column of obs, but no obs was given")
        cell_ids = sorted(coded.barcodes)
        return cell_ids, pd.DataFrame({"barcode": cell_ids}, index=cell_ids)
    if not isinstance(obs, pd.DataFrame):
        raise InvalidArgumentError(f"obs must be a pandas.DataFrame, found {type(obs).__name__}")
    if barcode_column is not None and barcode_column not in obs.columns:
        raise InvalidArgumentError(f"obs has no column '{barcode_column}', it has {list(obs.columns)}")
    barcodes = pd.Index(obs.index if barcode_column is None else obs[barcode_column])
    if not barcodes.is_unique or not all(isinstance(barcode, str) for barcode in barcodes):
        raise InvalidArgumentError("the barcodes of obs must be texts that differ from each other")
    if not set(barcodes) & set(coded.barcodes):
        raise InvalidArgumentError(
            f"no barcode of obs has a fragment; obs has {list(barcodes[:3])}, the fragments have {coded.barcodes[:3]}"
        )
    return list(barcodes), obs if "barcode" in obs.columns else obs.assign(barcode=list(barcodes))


def _used_chromosomes(coded: CodedFragments, cell_ids: Sequence[str]) -> list[str]:
    """Chromosomes on which the cells have fragments."""
    wanted = set(cell_ids)
    is_wanted = np.array([barcode in wanted for barcode in coded.barcodes])
    used = np.unique(coded.chroms[is_wanted[coded.cells]])
    return [coded.chrom_names[code] for code in used]


def _feature_uids(registry: Registry, chroms: Sequence[str], given: Mapping[str, str] | None) -> list[str]:
    """The feature of each chromosome."""
    if given is not None:
        uid_of = dict(given)
    else:
        rows = registry.arrow()
        names = rows[NAME_COLUMN if NAME_COLUMN in rows.column_names else "uid"].to_pylist()
        uid_of = dict(zip(names, rows["uid"].to_pylist(), strict=True))
        repeated = [name for name in chroms if names.count(name) > 1]
        if repeated:
            raise InvalidArgumentError(
                f"registry '{registry.table.name}' has several features named {repeated[:5]}, as of several genomes; "
                "say which ones are meant by chromosome_uids"
            )
    missing = [name for name in chroms if name not in uid_of]
    if missing:
        raise InvalidArgumentError(
            f"chromosomes {missing[:5]} ({len(missing)} in all) have no feature in "
            + (f"registry '{registry.table.name}'" if given is None else "chromosome_uids")
            + "; register them first, with their names as sequence_name"
        )
    return [uid_of[name] for name in chroms]
