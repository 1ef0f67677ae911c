"""Progress of long ingests, in rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from homeobox.catalog.progress import step_progress

# Fewer are done before a bar could be read.
_MIN_ROWS = 50_000


@contextmanager
def row_progress(label: str, n_rows: int) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many rows were just done."""
    if n_rows < _MIN_ROWS:
        yield lambda n: None
        return
    with step_progress(label, n_rows) as advance:
        yield advance
