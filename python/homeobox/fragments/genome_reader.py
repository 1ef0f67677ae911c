"""Fragments of one region of the genome, of all cells of a group, from the copy that is sorted by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from homeobox import _core
from homeobox.errors import CorruptDataError, InvalidArgumentError, NotFoundError
from homeobox.fragments.group_store import inside, store_of
from homeobox.ingest.fragments import END_MAX_BLOCK

# Places of a sorted array that one round of a search looks at.
_PROBES = 64


class UnknownChromosomeError(NotFoundError, KeyError):
    """A chromosome that a group does not have."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


@dataclass
class RegionResult:
    """Fragments that overlap a region, by ascending start.

    Attributes
    ----------
    cell_ids : ndarray of uint32
        Row of each fragment's cell in its group (``zarr_row``).
    starts : ndarray of uint32
    lengths : ndarray of uint16
    chrom_name : str
    """

    cell_ids: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    chrom_name: str


def seek_region(
    chrom_offsets: np.ndarray, end_max: np.ndarray, chrom_idx: int, start: int, block_size: int = END_MAX_BLOCK
) -> tuple[int, int]:
    """The fragments of a chromosome before which none ends at or behind `start`.

    Parameters
    ----------
    chrom_offsets : ndarray of int64, shape (n_chromosomes + 1,)
    end_max : ndarray, shape (n_blocks,)
        As `build_end_max` gives: of each block alone, so that a long fragment may stand out among its neighbours.

    Returns
    -------
    begin, end : int
        No fragment of the chromosome before `begin` overlaps a region that begins at `start`; `end` is that of the
        chromosome.

    Notes
    -----
    Stage: stable. Looks at the block maxima of the chromosome one after another, some 1e9 a second; a binary search
    would miss what lies before a block with a smaller maximum. The block in which the chromosome begins also has the
    ends of the chromosome before it, so it may be taken without need.
    """
    begin, end = int(chrom_offsets[chrom_idx]), int(chrom_offsets[chrom_idx + 1])
    first = begin // block_size
    reaches = np.asarray(end_max[first : -(-end // block_size)]) >= start
    if begin == end or not reaches.any():
        return end, end
    return max(begin, (first + int(reaches.argmax())) * block_size), end


class GenomeSortedReader:
    """Finds the fragments of a region in one group.

    Stage: stable.

    Parameters
    ----------
    group : zarr.Group or (store, path)
        Has ``genome_sorted``. Of an atlas: ``(atlas.catalog.store, zarr_group)``.
    chrom_names : sequence of str
        Chromosomes in the order of the group's layout.

    Raises
    ------
    NotFoundError
        The group has no genome-sorted copy.
    InvalidArgumentError
        Another number of chromosomes than the group has.

    Notes
    -----
    Opening reads the block maxima, 4 bytes for each 128 fragments. May be used from several threads.
    """

    def __init__(self, group: Any, chrom_names: Sequence[str]) -> None:
        store, path = store_of(group)
        arrays = {
            name: _core.Array.open(store, inside(path, f"genome_sorted/{name}"))
            for name in ("cell_ids", "starts", "lengths", "chrom_offsets", "end_max")
        }
        self._arrays = [arrays[name] for name in ("cell_ids", "starts", "lengths")]
        self._starts = arrays["starts"]
        self._chrom_offsets = arrays["chrom_offsets"].read_all().astype(np.int64)
        self._end_max = arrays["end_max"].read_all()
        self._chrom_names = list(chrom_names)
        n = self._starts.shape[0]
        if len(self._chrom_offsets) != len(self._chrom_names) + 1:
            raise InvalidArgumentError(
                f"chrom_names: {len(self._chrom_offsets) - 1} chromosomes expected, found {len(self._chrom_names)}"
            )
        if (
            self._chrom_offsets[0] != 0
            or self._chrom_offsets[-1] != n
            or np.any(np.diff(self._chrom_offsets) < 0)
            or len(self._end_max) != -(-n // END_MAX_BLOCK)
        ):
            raise CorruptDataError(
                f"'{inside(path, 'genome_sorted')}': chrom_offsets and end_max do not describe {n} fragments"
            )

    @property
    def chrom_names(self) -> list[str]:
        """Chromosomes in the order of the group."""
        return list(self._chrom_names)

    @property
    def n_fragments(self) -> int:
        """Fragments of all cells."""
        return int(self._starts.shape[0])

    def query_region(self, chrom_name: str, start: int, end: int) -> RegionResult:
        """Fragments that overlap ``[start, end)``: those with ``begin < end`` and ``begin + length > start``.

        Raises
        ------
        UnknownChromosomeError
            The group has no such chromosome; also a KeyError.
        InvalidArgumentError
            Not ``0 <= start <= end``, or two chromosomes of the name.

        Notes
        -----
        Reads from the first block with a fragment that reaches the region to the last fragment that begins in it, and
        about three rounds of single fragments to find the latter.
        """
        if chrom_name not in self._chrom_names:
            raise UnknownChromosomeError(f"no chromosome '{chrom_name}' in this group, it has {self._chrom_names}")
        if self._chrom_names.count(chrom_name) > 1:
            raise InvalidArgumentError(f"several chromosomes of this group are called '{chrom_name}'")
        if not 0 <= start <= end:
            raise InvalidArgumentError(f"region {chrom_name}:{start}-{end}: 0 <= start <= end expected")
        ranges = self._candidates(self._chrom_names.index(chrom_name), start, end)
        begins, ends = (np.array(bounds, dtype=np.int64) for bounds in zip(*ranges, strict=True))
        cell_ids, starts, lengths = (array.read_ranges(begins, ends) for array in self._arrays)
        found = (starts < end) & (starts.astype(np.int64) + lengths > start)
        return RegionResult(cell_ids[found], starts[found], lengths[found], chrom_name)

    def _candidates(self, chrom: int, start: int, end: int) -> list[tuple[int, int]]:
        """Ranges of fragments outside of which none overlaps."""
        first, last = int(self._chrom_offsets[chrom]), int(self._chrom_offsets[chrom + 1])
        # The maximum of a block that two chromosomes share says nothing about this one: its few fragments are read.
        own = min(last, -(-first // END_MAX_BLOCK) * END_MAX_BLOCK)
        offsets = np.array([own, last])
        begin, last = seek_region(offsets, self._end_max, 0, start + 1)
        return [(first, own), (begin, self._first_start_at(end, begin, last))]

    def _first_start_at(self, position: int, begin: int, end: int) -> int:
        """First fragment of ``begin .. end`` that starts at `position` or behind it; `end` if none does."""
        while end - begin > 0:
            probes = np.unique(np.linspace(begin, end - 1, _PROBES, dtype=np.int64))
            behind = self._starts.read_ranges(probes, probes + 1) >= position
            if not behind.any():
                return end
            hit = int(behind.argmax())
            if hit == 0:
                return int(probes[0])
            begin, end = int(probes[hit - 1]) + 1, int(probes[hit])
        return end
