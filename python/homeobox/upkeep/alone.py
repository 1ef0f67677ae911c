"""Pruning and restoring exclude each other: one claim on the whole atlas, by the rules of claims on groups.

Without it a restore could bring back a version of a table while Lance removes that version's files: Lance decides what
no version needs before it removes, and a version that is committed in between is not asked. No order of looking again
closes that gap, so the second of the two is refused before it changes anything. Everybody else (queries, ingests,
snapshots) goes on: what those need is recent, or recorded, or claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from homeobox.ingest.claim import UPKEEP_CLAIM, Claim, take_claim

if TYPE_CHECKING:
    from homeobox.catalog import Catalog


@contextmanager
def alone(catalog: Catalog) -> Iterator[Claim]:
    """Hold the atlas. To be confirmed before each step that cannot be taken back.

    Raises
    ------
    ConflictError
        Another process prunes or restores it.
    """
    claim = take_claim(catalog.store, UPKEEP_CLAIM, f"pruning and restoring of {catalog.location}", "process")
    try:
        yield claim
    finally:
        claim.release()
