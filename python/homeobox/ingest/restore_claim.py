"""Restoring and writing exclude each other: a restore makes a marker and looks for claims, writers do the opposite.

A restore puts one table back after the other, so a dataset whose row or cells are committed, or removed, in between
would be left with only one of the two. So a restore makes its own marker first and asks for the claims of others
after; whoever adds or removes rows makes its claim first and asks for the marker after. Of the two at least one sees
the other, and gives way. A writer asks again right before each commit: it may have been taken for dead.

The marker of a restore that died is taken away by the writer that finds it. If that restore only slept, it finds its
marker gone before its next commit, and goes no further.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from homeobox.errors import ConflictError
from homeobox.ingest.claim import Claim, replace_dead, take_claim
from homeobox.ingest.claim_marker import is_alive

if TYPE_CHECKING:
    from homeobox.catalog import Catalog

#: Key of the marker.
RESTORE_CLAIM = ".hox-restore"

# Taking a dead marker away takes a few requests; whoever waits this long waits for something else.
_WAIT_S = 60.0


@contextmanager
def restoring(catalog: Catalog) -> Iterator[Claim]:
    """Keep writers out; those that are there already are for the caller to find, within. To be confirmed before each
    commit. Raises ConflictError if another restores the atlas."""
    claim = take_claim(catalog.store, RESTORE_CLAIM, _described(catalog), "process")
    try:
        yield claim
    finally:
        claim.release()


def refuse_beside_restore(catalog: Catalog) -> None:
    """To be asked under a claim, before the tables are looked at, and again before each commit. One read.

    Raises
    ------
    ConflictError
        The atlas is being restored.
    """
    deadline = time.monotonic() + _WAIT_S
    while (marker := catalog.store.read(RESTORE_CLAIM)) is not None:
        if is_alive(marker):
            raise ConflictError(f"{catalog.location} is being restored by another process: {marker.decode()}")
        try:
            _take_away(catalog, marker)
        except ConflictError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.01, 0.1))  # another writer does it at this moment


def _take_away(catalog: Catalog, dead: bytes) -> None:
    replace_dead(catalog.store, RESTORE_CLAIM, dead, lambda cleaner: None, _described(catalog), "process")


def _described(catalog: Catalog) -> str:
    return f"restoring of {catalog.location}"
