"""Progress of long work, for people: a bar on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# A bar that is gone before it can be read only flickers.
_SHOWN_AFTER_S = 1.0


@contextmanager
def step_progress(label: str, n_steps: int) -> Iterator[Callable[[int], None]]:
    """Gives a function that is told how many steps were just done. Shows a bar once the work takes a while."""
    if not sys.stderr.isatty():
        yield lambda n: None
        return
    begun = time.monotonic()
    n_done = 0
    bar: Any = None
    task: Any = None

    def advance(n: int) -> None:
        nonlocal n_done, bar, task
        n_done += n
        if bar is None and time.monotonic() - begun >= _SHOWN_AFTER_S:
            bar = _bar()
            task = bar.add_task(label, total=n_steps)
            bar.start()
        if bar is not None:
            bar.update(task, completed=n_done)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.stop()


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
