"""Restoring: a snapshot becomes the latest state of every table, as new versions of them.

Each table is one commit, so the order must keep what cells point to there at every moment. First the dataset rows and
layouts that the snapshot has and the latest state lacks are added: without cells they are pending, and show nowhere.
Then the cells, and at last everything else goes back to what the snapshot has.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from homeobox.catalog.catalog import Catalog
from homeobox.catalog.location import AtlasLocation
from homeobox.catalog.opening import checkout, open_writable
from homeobox.catalog.registry import Registry
from homeobox.catalog.tables import Table
from homeobox.catalog.versions import VERSIONS_TABLE, WhichSnapshot
from homeobox.schema import HoxBaseSchema


def restore(
    location: AtlasLocation,
    version: WhichSnapshot,
    cell_schema: type[HoxBaseSchema] | None = None,
    *,
    version_table: str = VERSIONS_TABLE,
    store: Any = None,
    check: Callable[[Catalog], object] = lambda latest: None,
    before_commit: Callable[[], object] = lambda: None,
) -> Catalog:
    """Make a snapshot the latest state of every table, as new table versions; a writable catalog.

    Snapshots stay, arrays stay. What no snapshot has is in no state any more afterwards. `check` gets the latest state
    and may refuse. Errors as :func:`checkout` and as `check`, before any table is touched. `before_commit` is asked
    before each table; where it refuses, the atlas is whole, and the same call finishes.
    """
    pinned = checkout(location, version, cell_schema, version_table=version_table, store=store)
    latest = open_writable(
        location,
        pinned.cells.table.name,
        cell_schema,
        pinned.datasets.table.name,
        registry_tables={space: r.table.name for space, r in pinned.registries.items()},
        version_table=version_table,
        store=(pinned.store, pinned.store_uri),
    )
    check(latest)
    before_commit()
    _add_what_is_missing(pinned, latest)
    # Features only become more, so the latest registry serves the cells of a snapshot too, unless another history
    # gave its indices to other features.
    others = [r.table for space, r in pinned.registries.items() if not _has_all(latest.registries[space], r)]
    kept = [r.table for r in pinned.registries.values() if r.table not in others]
    for table in [*others, pinned.cells.table, pinned.datasets.table, pinned.layouts.table, *kept]:
        before_commit()
        Table.open(location, table.name).restore(table.version)
    return open_writable(
        location,
        pinned.cells.table.name,
        cell_schema,
        pinned.datasets.table.name,
        registry_tables={space: r.table.name for space, r in pinned.registries.items()},
        version_table=version_table,
        store=(pinned.store, pinned.store_uri),
    )


def _add_what_is_missing(pinned: Catalog, latest: Catalog) -> None:
    latest.layouts.table.insert_missing(["layout_uid", "feature_uid"], pinned.layouts.table.scan())
    rows = pinned.datasets.arrow()
    there = pa.array(latest.datasets.by_group(), pa.string())
    missing = rows.filter(pc.invert(pc.is_in(rows["zarr_group"], value_set=there)))
    if missing.num_rows:
        latest.datasets.table.append(missing)


def _has_all(latest: Registry, pinned: Registry) -> bool:
    """Whether each feature of a snapshot is still there, with the same global index."""
    there = dict(zip(*(column.to_pylist() for column in latest.arrow().select(["uid", "global_index"])), strict=True))
    then = zip(*(column.to_pylist() for column in pinned.arrow().select(["uid", "global_index"])), strict=True)
    return all(uid in there and there[uid] == index for uid, index in then)
