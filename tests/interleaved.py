"""Two operations on one atlas at once, of which one comes in at the n-th change that the other makes."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mortal import CHANGES_OF_TABLE, MortalStore

import homeobox as hox
from homeobox.catalog import Table


class Meeting:
    """Counts changes, and lets the other one in before the `n`-th."""

    def __init__(self, n: int, other: Callable[[], object]) -> None:
        self.n = n
        self.n_changes = 0
        self.met = False
        self._other = other

    def change(self, make: Any, *arguments: Any, **options: Any) -> Any:
        if not self.met:
            self.n_changes += 1
            if self.n_changes == self.n:
                self.met = True
                self._other()
        return make(*arguments, **options)


def copies(template: Path, folder: Path, step: int = 1) -> Iterator[tuple[int, Path]]:
    """A number from 1 on and a fresh copy of an atlas, for as long as they are asked for; the copy before goes."""
    for n in itertools.count(1, step):
        root = folder / f"{n}"
        shutil.copytree(template, root)
        yield n, root
        shutil.rmtree(root)


@contextlib.contextmanager
def interleaved(
    atlas: hox.RaggedAtlas, n: int, other: Callable[[], object], *, store: bool = True
) -> Iterator[Meeting]:
    """Within it `other` is called once, before the `n`-th change of a table, or of the store of `atlas`.

    Without `store` for those that give the store to the core, such as an ingest: before a change of a table only.
    """
    meeting = Meeting(n, other)
    healthy = atlas.catalog.store
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES_OF_TABLE:
            original = getattr(Table, name)

            def changed(table: Table, *arguments: Any, original: Any = original, **options: Any) -> Any:
                return meeting.change(original, table, *arguments, **options)

            patch.setattr(Table, name, changed)
        if store:
            atlas.catalog.store = MortalStore(healthy, meeting)
        try:
            yield meeting
        finally:
            atlas.catalog.store = healthy
