"""How much memory the reading of a source may take, and where it may put what does not fit."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

# So many entries stay in the cache while they are checked or renumbered, and are work for all threads.
_BLOCK_ELEMENTS = 1 << 19

# Dealing entries out takes up to 100 bytes for each of a block: rows, columns and values as read and as sorted, and two
# orders of 8 bytes. A quarter of the budget is for that, half for what is kept, the rest for row bounds and obs.
_BYTES_PER_BLOCK_ELEMENT = 400


@dataclass(frozen=True)
class Reading:
    """Bounds of one ingest.

    Attributes
    ----------
    memory_bytes
        What the ingest may take, obs and row bounds included.
    scratch_directory
        For files without a name, which are gone with the process.
    """

    memory_bytes: int = 1 << 30
    scratch_directory: str = ""

    @property
    def block_elements(self) -> int:
        """Entries of one block; fewer where the budget is small."""
        return max(1 << 12, min(_BLOCK_ELEMENTS, self.memory_bytes // _BYTES_PER_BLOCK_ELEMENT))

    def dense_rows(self, row_bytes: int) -> int:
        """Whole rows of `row_bytes` each that are decompressed at once; two such bands take a quarter of the budget."""
        return max(1, self.memory_bytes // (8 * row_bytes))

    @property
    def scratch(self) -> str:
        return self.scratch_directory or tempfile.gettempdir()
