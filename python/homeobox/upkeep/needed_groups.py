"""Which groups of arrays something that stays needs, and which nothing does.

A group stays if a version of the cell table that stays points to it, or a dataset row of the latest state names it:
that one may be of an ingest that has not committed yet. What lies inside such a group, or around it, stays too.
"""

from __future__ import annotations

from collections.abc import Iterable

from homeobox.catalog import Catalog, Table
from homeobox.catalog.cell_groups import CellGroups
from homeobox.catalog.layouts import LAYOUTS_TABLE
from homeobox.catalog.table_versions import version_numbers, widest_versions
from homeobox.ingest.nesting import MANIFEST, groups_above
from homeobox.schema import AtlasVersionRecord

#: Table -> versions of it.
Versions = dict[str, set[int]]


class NeededGroups:
    """Groups that stay once some table versions are gone; may be asked again and again while others write.

    Parameters
    ----------
    going
        Versions that go, by table, unless a snapshot comes to record them.
    forgotten
        Numbers of snapshots that go; what only they record does not count.
    """

    def __init__(self, catalog: Catalog, going: Versions, forgotten: Iterable[int] = ()) -> None:
        self._catalog = catalog
        self._going = going
        self._forgotten = frozenset(forgotten)
        self._asked: Versions = {}
        self._state: tuple[object, ...] | None = None
        self._needed: set[str] = set()
        self._around: set[str] = set()

    def refresh(self) -> None:
        """Look at what was committed since the last time. A few requests where nothing was.

        What was needed once stays so: another prune may find that it no longer is.
        """
        catalog = self._catalog
        tables = [catalog.cells.table, catalog.datasets.table, catalog.versions.table]
        state = tuple(table.version for table in tables)
        if state == self._state:
            return
        recorded = recorded_versions(r for r in catalog.versions.records() if r.version not in self._forgotten)
        names = {catalog.cells.table.name, *(r.cell_table_name for r in catalog.versions.records())}
        for table in existing_tables(catalog, names):
            going = self._going.get(table.name, set()) - recorded.get(table.name, set())
            asked = self._asked.setdefault(table.name, set())
            new = set(version_numbers(table)) - going - asked
            for version in widest_versions(table, new):
                self._needed |= catalog.cell_groups.of(table.at(version).dataset)
            asked |= new
        self._needed |= catalog.datasets.by_group().keys()
        self._around = {outer for group in self._needed for outer in groups_above(group)}
        self._state = state

    def has(self, group: str) -> bool:
        """Whether the group stays, as of the last refresh."""
        return group in self._needed or group in self._around or not self._needed.isdisjoint(groups_above(group))


def unneeded_groups(catalog: Catalog, needed: NeededGroups, records: Iterable[AtlasVersionRecord]) -> dict[str, int]:
    """Path -> bytes of groups that are there, that an ingest made or a dataset row once named, and nothing needs."""
    needed.refresh()
    objects = catalog.store.list("")
    finished = {key.removesuffix(f"/{MANIFEST}") for key, _ in objects if key.endswith(f"/{MANIFEST}")}
    candidates = finished | _groups_ever_named(catalog, records)
    sizes = {group: 0 for group in candidates if not needed.has(group)}
    for key, n_bytes in objects:
        for group in groups_above(key):
            if group in sizes:
                sizes[group] += n_bytes
    return {group: n_bytes for group, n_bytes in sorted(sizes.items()) if n_bytes}


def recorded_versions(records: Iterable[AtlasVersionRecord]) -> Versions:
    """What snapshots record, by table."""
    recorded: Versions = {}
    for record in records:
        pinned = [
            (record.cell_table_name, record.cell_table_version),
            (record.dataset_table_name, record.dataset_table_version),
            *record.registries.values(),
        ]
        for name, version in pinned:
            recorded.setdefault(name, set()).add(version)
        recorded.setdefault(LAYOUTS_TABLE, set()).add(record.feature_layouts_table_version)
    return recorded


def existing_tables(catalog: Catalog, names: Iterable[str]) -> list[Table]:
    """The tables of these names that are there: only a snapshot that nobody can open any more has others."""
    existing = set(names) & set(catalog.location.table_names())
    return [Table.open(catalog.location, name) for name in sorted(existing)]


def _groups_ever_named(catalog: Catalog, records: Iterable[AtlasVersionRecord]) -> set[str]:
    """Groups of 0.2.2 have no manifest, but each had a dataset row."""
    named = CellGroups(lambda schema: ["zarr_group"])
    groups: set[str] = set()
    for table in existing_tables(catalog, {catalog.datasets.table.name, *(r.dataset_table_name for r in records)}):
        for version in widest_versions(table, version_numbers(table)):
            groups |= named.of(table.at(version).dataset)
    return groups
