"""Whether the snapshot that was read is still recorded: else a prune may have removed arrays while they were read."""

from __future__ import annotations

from homeobox.catalog import Catalog
from homeobox.errors import ConflictError


def check_recorded(catalog: Catalog) -> None:
    """To be asked once all is read: a prune forgets a snapshot before it removes anything of it.

    Raises
    ------
    ConflictError
        The snapshot that the catalog is pinned at is gone, or another has its number.
    """
    cells = catalog.cells.table
    pinned = (catalog.version, cells.name, cells.version)
    for record in catalog.versions.records():
        if (record.version, record.cell_table_name, record.cell_table_version) == pinned:
            return
    raise ConflictError(
        f"snapshot {catalog.version} of {catalog.location} was forgotten, as by prune(), while it was read: arrays may "
        "have been removed, so nothing was exported; check out a snapshot that is there"
    )
