"""The two orders in which fragments are stored: by cell, and by place in the genome."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.fragments.coded import CodedFragments, code_frame

if TYPE_CHECKING:
    import polars as pl

#: Fragments that share one entry of ``end_max``.
END_MAX_BLOCK = 128

# Chromosome numbers are stored as uint8.
_MAX_CHROMS = 256


def build_chrom_order(fragments: pl.DataFrame) -> list[str]:
    """The chromosomes of a frame of fragments: chr1, chr2, ..., chrX, chrY, chrM, then the others by name.

    Raises
    ------
    InvalidArgumentError
        More than 256.

    Notes
    -----
    Stage: stable.
    """
    return order_chromosomes(fragments["chrom"].unique().to_list())


def order_chromosomes(names: Sequence[str]) -> list[str]:
    """`names` in the order of :func:`build_chrom_order`. Errors as there."""
    if len(names) > _MAX_CHROMS:
        raise InvalidArgumentError(
            f"fragments lie on {len(names)} chromosomes, at most {_MAX_CHROMS} can be stored in a group; leave out the "
            "small scaffolds"
        )
    return sorted(names, key=_chromosome_key)


def _chromosome_key(name: str) -> tuple[int, int, str]:
    if number := re.fullmatch(r"chr([0-9]+)", name):
        return 0, int(number[1]), name
    special = ["chrX", "chrY", "chrM"]
    return (1, special.index(name), name) if name in special else (2, 0, name)


def sort_fragments_by_cell(
    fragments: pl.DataFrame, chrom_order: Sequence[str], barcode_col: str = "barcode"
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Fragments by (cell, chromosome, start); equal ones keep their order.

    Parameters
    ----------
    fragments : polars.DataFrame
        As :func:`parse_bed_fragments` gives.
    chrom_order : sequence of str
        Every chromosome that occurs.

    Returns
    -------
    chromosomes : ndarray of uint8
        Positions in `chrom_order`.
    starts : ndarray of uint32
    lengths : ndarray of uint16
    offsets : ndarray of int64, shape (n_cells + 1,)
        Cell i has the fragments ``offsets[i] .. offsets[i + 1]``.
    cell_ids : list of str
        Distinct barcodes, sorted.

    Raises
    ------
    InvalidArgumentError
        A chromosome that is not in `chrom_order`, or a fragment that cannot be.

    Notes
    -----
    Stage: stable.
    """
    coded = code_frame(fragments, barcode_col)
    cell_ids = sorted(coded.barcodes)
    return *by_cell(coded, chrom_order, cell_ids), cell_ids


def sort_fragments_by_genome(
    fragments: pl.DataFrame, chrom_order: Sequence[str], cell_ids: Sequence[str], barcode_col: str = "barcode"
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fragments of `cell_ids` by (chromosome, start); equal ones keep their order.

    Returns
    -------
    cell_idx : ndarray of uint32
        Positions in `cell_ids`.
    starts : ndarray of uint32
    lengths : ndarray of uint16
    chrom_offsets : ndarray of int64, shape (n_chromosomes + 1,)
        Chromosome i has the fragments ``chrom_offsets[i] .. chrom_offsets[i + 1]``.

    Raises
    ------
    InvalidArgumentError
        A chromosome that is not in `chrom_order`, or a fragment that cannot be.

    Notes
    -----
    Stage: stable.
    """
    return by_genome(code_frame(fragments, barcode_col), chrom_order, cell_ids)


def build_end_max(starts: np.ndarray, lengths: np.ndarray, block_size: int = END_MAX_BLOCK) -> np.ndarray:
    """The greatest end among each `block_size` fragments, uint32 [ceil(n / block_size)].

    Blocks do not heed chromosomes, and the values need not ascend. Stage: stable.
    """
    ends = np.asarray(starts, dtype=np.uint32) + np.asarray(lengths, dtype=np.uint32)
    return np.maximum.reduceat(ends, np.arange(0, len(ends), block_size)) if len(ends) else ends


def by_cell(
    coded: CodedFragments, chrom_order: Sequence[str], cell_ids: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As :func:`sort_fragments_by_cell`, of the cells of `cell_ids`; fragments of others are left out."""
    chroms, cells, coded = _placed(coded, chrom_order, cell_ids)
    order = _genome_order(chroms, coded.starts)
    order = order[_stable_order(cells[order], len(cell_ids))]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(cells, minlength=len(cell_ids)))]).astype(np.int64)
    return chroms[order].astype(np.uint8), coded.starts[order], coded.lengths[order], offsets


def by_genome(
    coded: CodedFragments, chrom_order: Sequence[str], cell_ids: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As :func:`sort_fragments_by_genome`."""
    chroms, cells, coded = _placed(coded, chrom_order, cell_ids)
    order = _genome_order(chroms, coded.starts)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(chroms, minlength=len(chrom_order)))]).astype(np.int64)
    return cells[order].astype(np.uint32), coded.starts[order], coded.lengths[order], offsets


def _placed(
    coded: CodedFragments, chrom_order: Sequence[str], cell_ids: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, CodedFragments]:
    """Chromosomes and cells as positions in the given lists, and the fragments of these cells."""
    cells = _positions(coded.barcodes, cell_ids)[coded.cells]
    if len(cells) and cells.min() < 0:
        wanted = np.flatnonzero(cells >= 0)
        coded = CodedFragments(
            coded.chrom_names,
            coded.barcodes,
            *(column[wanted] for column in (coded.chroms, coded.cells, coded.starts, coded.lengths)),
        )
        cells = cells[wanted]
    if len(chrom_order) > _MAX_CHROMS:
        raise InvalidArgumentError(f"{len(chrom_order)} chromosomes, at most {_MAX_CHROMS} can be stored in a group")
    chroms = _positions(coded.chrom_names, chrom_order)[coded.chroms]
    if len(chroms) and chroms.min() < 0:
        unknown = sorted({coded.chrom_names[code] for code in np.unique(coded.chroms[chroms < 0])})
        raise InvalidArgumentError(f"chromosomes {unknown[:5]} are not in the given order {list(chrom_order)[:5]}...")
    return chroms, cells, coded


def _positions(names: Sequence[str], among: Sequence[str]) -> np.ndarray:
    """Position of each name, int32; -1 where it is not among them."""
    place = {name: i for i, name in enumerate(among)}
    return np.array([place.get(name, -1) for name in names], dtype=np.int32)


def _genome_order(chroms: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Order of fragments by (chromosome, start); equal ones keep their order."""
    import polars as pl

    key = chroms.astype(np.uint64) << np.uint64(32) | starts
    if bool(np.all(key[1:] >= key[:-1])):  # as most files come
        return np.arange(len(key))
    return pl.DataFrame({"key": key}).select(pl.arg_sort_by("key", maintain_order=True)).to_series().to_numpy()


def _stable_order(numbers: np.ndarray, n_distinct: int) -> np.ndarray:
    """Order of rows by a small number each; equal ones keep their order. Counts instead of comparing."""
    import scipy.sparse

    n = len(numbers)
    one_per_row = scipy.sparse.csr_array((np.ones(n, np.int8), numbers, np.arange(n + 1)), shape=(n, n_distinct))
    return one_per_row.tocsc().indices
