"""Snapshots beside a prune: recording one and removing what no snapshot has exclude each other, each for a moment.

Otherwise a snapshot could come to record table versions that a prune has already decided to remove, or a prune could
keep, as the only one, a snapshot that is about to be taken back. The claim is waited for, unlike that on the atlas
(alone.py): it is held for a few commits, or while Lance removes the files of one table.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from homeobox import catalog as _catalog
from homeobox.errors import ConflictError
from homeobox.ingest.claim import Claim, take_claim

if TYPE_CHECKING:
    from homeobox.catalog import Catalog

#: Key of the claim.
RECORD_CLAIM = ".hox-snapshot"

_WAIT_S = 600.0


def snapshot(catalog: Catalog, name: str | None = None) -> int:
    """As `RaggedAtlas.snapshot` documents."""

    @contextmanager
    def recording() -> Iterator[None]:
        with alone_with_snapshots(catalog) as claim:
            claim.confirm()
            yield

    return _catalog.take_snapshot(catalog, name, recording)


@contextmanager
def alone_with_snapshots(catalog: Catalog) -> Iterator[Claim]:
    """Keep the table of snapshots as it is but for the caller; waits for others.

    Raises
    ------
    ConflictError
        Others held it for ten minutes.
    """
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            claim = take_claim(catalog.store, RECORD_CLAIM, f"the snapshots of {catalog.location}", "process")
            break
        except ConflictError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(random.uniform(0.01, 0.1))
    try:
        yield claim
    finally:
        claim.release()
