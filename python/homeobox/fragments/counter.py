"""How many fragments of each cell overlap each of many ranges, such as peaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from homeobox.errors import InvalidArgumentError
from homeobox.query.fragments import FragmentResult

if TYPE_CHECKING:
    import anndata
    import pandas as pd
    import scipy.sparse

# Pairs of fragment and range that are looked at together; bounds the temporaries to some 300 MB.
_PAIRS = 1 << 23
# Ranges inside ranges inside ranges beyond this depth are looked at one by one.
_MAX_LAYERS = 16


@dataclass(frozen=True)
class GenomicRange:
    """A stretch of a chromosome, 0-based and half-open."""

    chrom: str
    start: int
    end: int
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise InvalidArgumentError(
                f"range {self.chrom}:{self.start}-{self.end}: 0 <= start <= end expected (0-based, half-open)"
            )


class FragmentCounter:
    """Counts fragments in ranges, which may overlap and lie inside each other.

    Stage: stable.

    Parameters
    ----------
    ranges : iterable of GenomicRange
        Columns of the counts are sorted by chromosome name, then start.
    """

    def __init__(self, ranges: Iterable[GenomicRange]) -> None:
        self._ranges = sorted(ranges, key=lambda item: (item.chrom, item.start))
        self._starts = np.array([item.start for item in self._ranges], dtype=np.int64)
        self._ends = np.array([item.end for item in self._ranges], dtype=np.int64)

    @property
    def n_ranges(self) -> int:
        """Number of ranges."""
        return len(self._ranges)

    @property
    def var(self) -> pd.DataFrame:
        """``chrom``, ``start`` and ``end`` of each column; the index is its name, "chrom:start-end" without one."""
        import pandas as pd

        names = [item.name or f"{item.chrom}:{item.start}-{item.end}" for item in self._ranges]
        chroms = [item.chrom for item in self._ranges]
        return pd.DataFrame(
            {"chrom": chroms, "start": self._starts, "end": self._ends}, index=pd.Index(names, dtype=object)
        )

    def count_fragments(self, fragments: FragmentResult) -> scipy.sparse.csr_matrix:
        """Count, int32 CSR (cells x ranges): a fragment counts once in every range that it overlaps.

        One that begins before the end of a range and ends behind its start overlaps it.

        Raises
        ------
        InvalidArgumentError
            Two chromosomes of `fragments` have the name of one that ranges are on.
        """
        import scipy.sparse

        names = fragments.chrom_names
        ambiguous = sorted(name for name in {item.chrom for item in self._ranges} if names.count(name) > 1)
        if ambiguous:
            raise InvalidArgumentError(
                f"fragments have several chromosomes of the name(s) {ambiguous}, so that those of a range cannot be "
                "told; give the features of the registry different names"
            )
        n_cells = len(fragments.offsets) - 1
        cell_of = np.repeat(np.arange(n_cells, dtype=np.int64), np.diff(fragments.offsets))
        keys = [np.empty(0, dtype=np.int64)]
        counts = [np.empty(0, dtype=np.int64)]
        for chrom, begin, end in self._by_chromosome():
            if chrom not in names:
                continue
            on_chrom = np.flatnonzero(fragments.chromosomes == names.index(chrom))
            starts = fragments.starts[on_chrom].astype(np.int64)
            ends = starts + fragments.lengths[on_chrom]
            for rows, columns in self._overlaps(starts, ends, begin, end):
                key, count = np.unique(cell_of[on_chrom[rows]] * self.n_ranges + columns, return_counts=True)
                keys.append(key)
                counts.append(count)
        key, values = np.concatenate(keys), np.concatenate(counts).astype(np.int32)
        rows, columns = np.divmod(key, max(1, self.n_ranges))
        matrix = scipy.sparse.coo_matrix((values, (rows, columns)), shape=(n_cells, self.n_ranges)).tocsr()
        matrix.sum_duplicates()
        return matrix

    def to_anndata(self, fragments: FragmentResult) -> anndata.AnnData:
        """The counts with `obs` of the cells and `var` of the ranges."""
        import anndata

        return anndata.AnnData(self.count_fragments(fragments), obs=fragments.obs, var=self.var)

    def _by_chromosome(self) -> Iterable[tuple[str, int, int]]:
        """(chromosome, first column, column behind the last)."""
        chroms = [item.chrom for item in self._ranges]
        begin = 0
        for end in range(1, len(chroms) + 1):
            if end == len(chroms) or chroms[end] != chroms[begin]:
                yield chroms[begin], begin, end
                begin = end

    def _overlaps(
        self, starts: np.ndarray, ends: np.ndarray, begin: int, end: int
    ) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Pairs of a fragment and a column of ``begin .. end`` that overlap, in blocks."""
        for columns in _layers(self._ends[begin:end]):
            range_starts, range_ends = self._starts[begin + columns], self._ends[begin + columns]
            # Ends need not ascend in the last layer; their running maximum does. Of the ranges between the first whose
            # maximum is behind the fragment's start and the last that begins before its end some end early.
            lows = np.searchsorted(np.maximum.accumulate(range_ends), starts, side="right")
            highs = np.searchsorted(range_starts, ends, side="left")
            for rows, found in _pairs(lows, highs):
                hit = range_ends[found] > starts[rows]
                yield rows[hit], begin + columns[found[hit]]


def _layers(ends: np.ndarray) -> Iterable[np.ndarray]:
    """Places of ranges that are sorted by their starts, in layers inside which no range lies inside another.

    Between the first and the last that a fragment overlaps in such a layer, it overlaps all. Without them one range
    over a whole chromosome would make every fragment look at every range.
    """
    left = np.arange(len(ends))
    for _ in range(_MAX_LAYERS):
        highest = ends[left] == np.maximum.accumulate(ends[left]) if len(left) else np.empty(0, dtype=bool)
        if highest.any():
            yield left[highest]
        left = left[~highest]
    if len(left):
        yield left


def _pairs(lows: np.ndarray, highs: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Each row with each number of its ``lows .. highs``, in blocks."""
    n_pairs = np.maximum(highs - lows, 0)
    bounds = np.concatenate([[0], np.cumsum(n_pairs)])
    first = 0
    while first < len(lows):
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + _PAIRS, side="right")) - 1)
        block = n_pairs[first:last]
        rows = np.repeat(np.arange(first, last), block)
        yield rows, np.arange(len(rows)) - np.repeat(bounds[first:last] - bounds[first], block) + lows[rows]
        first = last
