"""Room for entries that are put down once and read again: in memory as far as the budget goes, else on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from homeobox.ingest.sources.reading import Reading
from homeobox.ingest.sources.scratch_array import ScratchArray


class EntryArray(Protocol):
    """One array of entries."""

    def write(self, begin: int, values: np.ndarray) -> None: ...

    def read(self, begin: int, end: int) -> np.ndarray: ...


def room_for(n_entries: int, dtypes: Sequence[np.dtype], reading: Reading) -> list[EntryArray]:
    """One array of each type, in memory if all of them fit into half of the budget."""
    in_memory = n_entries * sum(dtype.itemsize for dtype in dtypes) <= reading.memory_bytes // 2
    return [_InMemory(n_entries, dtype) if in_memory else ScratchArray(dtype, reading.scratch) for dtype in dtypes]


class _InMemory:
    def __init__(self, n_entries: int, dtype: np.dtype) -> None:
        self._values = np.empty(n_entries, dtype=dtype)

    def write(self, begin: int, values: np.ndarray) -> None:
        self._values[begin : begin + len(values)] = values

    def read(self, begin: int, end: int) -> np.ndarray:
        return self._values[begin:end]
