"""Writers that die at the n-th change of anything: what a kill -9 does to an atlas, without a process to kill.

From its death on nothing that a writer does has an effect, cleaning up after the error included. Death comes before a
change or right after it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import pytest

import homeobox as hox
from homeobox.catalog import Table

CHANGES_OF_STORE = ("write", "create", "remove")
CHANGES_OF_TABLE = (
    "append",
    "append_computed",
    "insert_missing",
    "update_matching",
    "update_computed",
    "delete",
    "delete_chosen",
    "compact",
    "remove_versions",
    "restore",
)


class Died(BaseException):
    """Nothing but a test expects it."""


class Life:
    """Counts changes, and ends before the `n`-th change or after it."""

    def __init__(self, n: int, *, after: bool) -> None:
        self.n = n
        self.after = after
        self.n_changes = 0
        self.dead = False

    def change(self, make: Any, *arguments: Any, **options: Any) -> Any:
        if self.dead:
            raise Died
        self.n_changes += 1
        fatal = self.n_changes == self.n
        if fatal and not self.after:
            self._end()
        result = make(*arguments, **options)
        if fatal:
            self._end()
        return result

    def _end(self) -> None:
        self.dead = True
        raise Died


class MortalStore:
    """A store whose changes are counted; for calls that do not go through the core."""

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        return functools.partial(self._life.change, attribute) if name in CHANGES_OF_STORE else attribute


@contextlib.contextmanager
def mortal(atlas: hox.RaggedAtlas, n: int, *, after: bool) -> Iterator[Life]:
    """Within it the atlas lives until its `n`-th change; leaving it swallows the death."""
    life = Life(n, after=after)
    healthy = atlas.catalog.store
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES_OF_TABLE:
            original = getattr(Table, name)

            def changed(table: Table, *arguments: Any, original: Any = original, **options: Any) -> Any:
                return life.change(original, table, *arguments, **options)

            patch.setattr(Table, name, changed)
        create = Table.create
        patch.setattr(Table, "create", lambda *arguments: life.change(create, *arguments))
        atlas.catalog.store = MortalStore(healthy, life)
        try:
            with contextlib.suppress(Died):
                yield life
        finally:
            atlas.catalog.store = healthy
