"""Fragments of the cells of a query."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from homeobox import _core
from homeobox.errors import CorruptDataError, InvalidArgumentError, UnsupportedError
from homeobox.query.cells import read_cells
from homeobox.query.obs_frame import obs_frame
from homeobox.query.pointers import PointerColumns, read_pointers
from homeobox.query.request import QueryRequest
from homeobox.query.session import ReadSession
from homeobox.schema import PointerField, ZarrGroupSpec, get_spec

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_ARRAYS = ("chromosomes", "starts", "lengths")


class NotFragmentsError(UnsupportedError, TypeError):
    """A feature space whose groups hold something else than fragments."""


@dataclass
class FragmentResult:
    """Fragments of `n` cells, one cell after another, as stored inside a cell: by chromosome of its dataset, by start.

    Attributes
    ----------
    chromosomes : ndarray of uint8 (of uint16 for more than 256 chromosomes)
        Positions in `chrom_names`.
    starts : ndarray of uint32
    lengths : ndarray of uint16
    offsets : ndarray of int64, shape (n + 1,)
        Cell i has the fragments ``offsets[i] .. offsets[i + 1]``.
    chrom_names : list of str
        By ascending global index.
    obs : pandas.DataFrame
        The cells, in query order.
    """

    chromosomes: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    offsets: np.ndarray
    chrom_names: list[str]
    obs: pd.DataFrame

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.offsets) - 1

    @property
    def n_fragments(self) -> int:
        """Number of fragments."""
        return len(self.starts)

    def __repr__(self) -> str:
        return (
            f"FragmentResult({self.n_cells} cells, {self.n_fragments} fragments, {len(self.chrom_names)} chromosomes)"
        )


class IntervalReconstructor:
    """Reads fragments of cells; `AtlasQuery.to_fragments` is the way to use it. Stage: stable."""

    def as_fragments(self, atlas: Any, cells_pl: pl.DataFrame, pf: PointerField, spec: ZarrGroupSpec) -> FragmentResult:
        """Fragments of cells that were read before.

        Parameters
        ----------
        atlas : RaggedAtlas
            Checked out.
        cells_pl : polars.DataFrame
            Rows of the cell table with the pointer column `pf` as a struct.
        """
        _check_spec(spec)
        table = cells_pl.to_arrow()
        names = [column.name for column in table.schema if not pa.types.is_struct(column.type)]
        pointer = table[pf.name].combine_chunks()
        nested = {f"{pf.name}.{pointer.type.field(i).name}": pointer.field(i) for i in range(pointer.type.num_fields)}
        pointers = read_pointers(pa.table({name: _plain(column) for name, column in nested.items()}), pf)
        return _read(ReadSession(atlas.catalog), table.select(names), pointers)

    def as_anndata(self, *_: Any, **__: Any) -> Any:
        """Fragments are no matrix: NotImplementedError, says how to count them."""
        raise UnsupportedError(
            "fragments are no cells x features matrix; count them in ranges with homeobox.FragmentCounter"
        )


def to_fragments(session: ReadSession, request: QueryRequest, feature_space: str) -> FragmentResult:
    """Run a query and give its fragments, as `AtlasQuery.to_fragments` documents."""
    _check_spec(get_spec(feature_space))
    field = session.catalog.pointer_fields.get(feature_space)
    if field is None:
        raise InvalidArgumentError(
            f"Unknown feature space(s) ['{feature_space}']; the cell table has {list(session.catalog.pointer_fields)}"
        )
    selection = read_cells(session.catalog, request, [field])
    return _read(session, selection.obs, selection.pointers[0])


def _check_spec(spec: ZarrGroupSpec) -> None:
    names = [array.array_name for array in spec.required_arrays]
    if names != [f"cell_sorted/{name}" for name in _ARRAYS]:
        raise NotFragmentsError(
            f"feature space '{spec.feature_space}' does not use IntervalReconstructor: it holds {names or 'a matrix'}, "
            "not fragments"
        )


def _plain(column: pa.Array) -> pa.Array:
    """polars hands texts over as views, which the reading of pointers does not know."""
    return (
        column.cast(pa.string())
        if pa.types.is_string_view(column.type) or pa.types.is_large_string(column.type)
        else column
    )


def _read(session: ReadSession, obs: pa.Table, pointers: PointerColumns) -> FragmentResult:
    present = pointers.present
    n_absent = len(present) - int(np.count_nonzero(present))
    if n_absent == len(present):
        empty = (np.empty(0, np.uint8), np.empty(0, np.uint32), np.empty(0, np.uint16))
        return FragmentResult(*empty, np.zeros(len(present) + 1, np.int64), [], obs_frame(obs))
    if n_absent:
        space = pointers.field.feature_space
        warnings.warn(f"{n_absent} of {len(present)} cells have no '{space}' data and are left out", stacklevel=4)
        obs, pointers = obs.filter(pa.array(present)), pointers.take_present()
    chrom_names, remaps = _joined_chromosomes(session, pointers)
    counts = pointers.ends - pointers.begins
    if counts.min() < 0:
        raise CorruptDataError(f"a cell's pointer '{pointers.field.name}' ends before it begins")
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    chromosomes = np.empty(offsets[-1], np.uint8 if len(chrom_names) <= 256 else np.uint16)
    starts, lengths = np.empty(offsets[-1], np.uint32), np.empty(offsets[-1], np.uint16)
    for number, group in enumerate(pointers.groups):
        cells = np.flatnonzero(pointers.group_of_cell == number)
        if len(cells):
            columns = _read_group(session, group, pointers.begins[cells], pointers.ends[cells])
            places = _places(offsets[cells], counts[cells])
            remap = remaps[number]
            if len(columns[0]) and int(columns[0].max()) >= len(remap):
                raise CorruptDataError(
                    f"zarr group '{group}': chromosome number {int(columns[0].max())}, but its layout has {len(remap)}"
                )
            chromosomes[places], starts[places], lengths[places] = remap[columns[0]], columns[1], columns[2]
    return FragmentResult(chromosomes, starts, lengths, offsets, chrom_names, obs_frame(obs))


def _read_group(session: ReadSession, group: str, begins: np.ndarray, ends: np.ndarray) -> list[np.ndarray]:
    opened = _core.Group.open(session.catalog.store, group)
    return [opened.open_array(f"cell_sorted/{name}").read_ranges(begins, ends) for name in _ARRAYS]


def _places(offsets: np.ndarray, counts: np.ndarray) -> np.ndarray | slice:
    """Where the fragments of some cells go, in the order of the cells."""
    if np.array_equal(offsets[1:], offsets[:-1] + counts[:-1]):
        return slice(int(offsets[0]), int(offsets[-1] + counts[-1]))
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.arange(counts.sum()) + np.repeat(offsets - before, counts)


def _joined_chromosomes(session: ReadSession, pointers: PointerColumns) -> tuple[list[str], list[np.ndarray]]:
    """Names of all chromosomes of the groups by ascending global index; per group: local chromosome to joined one."""
    layout_uids = session.layout_uids()
    layouts = []
    for group in pointers.groups:
        layout_uid = layout_uids.get(group)
        if not layout_uid:
            raise CorruptDataError(f"cells point to zarr group '{group}', whose dataset has no layout of chromosomes")
        layouts.append(session.catalog.layouts.read(layout_uid)[1])
    joined = np.unique(np.concatenate(layouts))
    if len(joined) and joined[0] < 0:
        raise InvalidArgumentError("a chromosome has no global index; run optimize() first")
    dtype = np.uint8 if len(joined) <= 256 else np.uint16
    remaps = [np.searchsorted(joined, layout).astype(dtype) for layout in layouts]
    rows = session.catalog.registry(pointers.field.feature_space).arrow()
    names = rows["sequence_name" if "sequence_name" in rows.column_names else "uid"]
    # Another writer's registry may have gaps. Features without an index come last.
    indices = rows["global_index"].drop_null().to_numpy()
    places = np.searchsorted(indices, joined)
    unknown = joined[~np.isin(joined, indices)]
    if len(unknown):
        raise CorruptDataError(
            f"layouts of '{pointers.field.feature_space}' name global index {int(unknown[0])}, which its registry lacks"
        )
    return names.take(pa.array(places)).to_pylist(), remaps
