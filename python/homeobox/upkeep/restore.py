"""Restoring beside others: refused while somebody writes, and said aloud where it leaves datasets without a record."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from homeobox import catalog
from homeobox.catalog.snapshot import groups_of_snapshots
from homeobox.errors import ConflictError
from homeobox.ingest.claim_marker import is_alive
from homeobox.ingest.group_claim import markers_among
from homeobox.ingest.restore_claim import restoring
from homeobox.upkeep.alone import alone

if TYPE_CHECKING:
    from homeobox.catalog import AtlasLocation, Catalog, WhichSnapshot
    from homeobox.schema import HoxBaseSchema

# From the user's call of RaggedAtlas.restore to the warning.
_STACK_LEVEL = 5


def restore(
    location: AtlasLocation,
    version: WhichSnapshot,
    cell_schema: type[HoxBaseSchema] | None = None,
    *,
    version_table: str,
    store: Any = None,
) -> Catalog:
    """As `RaggedAtlas.restore` documents."""
    found = catalog.checkout(location, version, cell_schema, version_table=version_table, store=store)
    with alone(found) as claim, restoring(found) as writers_out:

        def confirm() -> None:
            claim.confirm()
            writers_out.confirm()

        # Found once more: a prune may have forgotten the snapshot before it gave the atlas free.
        return catalog.restore(
            location,
            version,
            cell_schema,
            version_table=version_table,
            store=store,
            check=_check,
            before_commit=confirm,
        )


def _check(latest: Catalog) -> None:
    for marker in markers_among(latest.store, [key for key, _ in latest.store.list("")]):
        if is_alive(marker.content):
            raise ConflictError(
                f"cannot restore {latest.location}: zarr group '{marker.path}' is being written, and its cells would "
                f"come on top of the snapshot: {marker.content.decode()}"
            )
    unrecorded = sorted(latest.groups_with_cells() - groups_of_snapshots(latest))
    if unrecorded:
        warnings.warn(
            f"restore drops {len(unrecorded)} dataset(s) that no snapshot has: {', '.join(unrecorded[:20])}"
            f"{', ...' if len(unrecorded) > 20 else ''}; a snapshot taken before would have kept them",
            UserWarning,
            stacklevel=_STACK_LEVEL,
        )
