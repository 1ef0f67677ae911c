"""Progress of long ingests, for people: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A bar that is gone before it can be read only flickers.
_MIN_ROWS = 50_000


@contextmanager
def row_progress(label: str, n_rows: int) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many rows were just done."""
    if n_rows < _MIN_ROWS or not sys.stderr.isatty():
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=n_rows)
        yield lambda n: progress.advance(task, n)
