"""What pruning would remove: snapshots that are not kept, table versions that nobody needs, and the groups that only
they point to."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

from homeobox.catalog import Catalog, Table
from homeobox.catalog.table_versions import bytes_of_versions, versions_superseded
from homeobox.errors import InvalidArgumentError
from homeobox.schema import AtlasVersionRecord
from homeobox.upkeep.needed_groups import NeededGroups, Versions, existing_tables, recorded_versions, unneeded_groups
from homeobox.upkeep.prune_report import PruneReport

#: A number of snapshots, a list of numbers or names, or "all".
Keep = SupportsIndex | str | Sequence[int | str]


def records_to_drop(catalog: Catalog, keep: Keep) -> list[AtlasVersionRecord]:
    """The snapshots that `keep` does not name. The newest always stays, so that no number is given twice.

    Raises
    ------
    InvalidArgumentError
        `keep` is none of the three.
    VersionNotFoundError
        It names a snapshot that does not exist.
    """
    records = catalog.versions.records()
    if isinstance(keep, str):
        if keep != "all":
            raise InvalidArgumentError(f"keep is a number of snapshots, a list of them, or 'all', found {keep!r}")
        return []
    n_kept = _as_number(keep)
    if n_kept is not None:
        if isinstance(keep, bool) or n_kept < 1:
            raise InvalidArgumentError(f"keep must be at least 1, since the newest snapshot stays, found {keep!r}")
        return records[:-n_kept]
    if not isinstance(keep, Iterable):
        raise InvalidArgumentError(f"keep is a number of snapshots, a list of them, or 'all', found {keep!r}")
    kept = {catalog.versions.find(which).version for which in keep}
    return [record for record in records[:-1] if record.version not in kept]


def _as_number(keep: Keep) -> int | None:
    try:
        return operator.index(keep)  # type: ignore[arg-type]
    except TypeError:
        return None


def plan_prune(catalog: Catalog, drop: Iterable[AtlasVersionRecord], min_age: datetime.timedelta) -> PruneReport:
    """What can go once the snapshots `drop` are forgotten. Removes nothing."""
    dropped = {record.version: record for record in drop}
    names = catalog.versions.names()
    report = PruneReport(snapshots={version: names.get(version) for version in dropped})
    going = versions_to_remove(catalog, dropped, min_age)
    for table in existing_tables(catalog, going):
        report.table_versions[table.name] = sorted(going[table.name])
        report.table_bytes += bytes_of_versions(table, sorted(going[table.name]))
    needed = NeededGroups(catalog, going, dropped)
    report.groups = unneeded_groups(catalog, needed, catalog.versions.records())
    return report


def versions_to_remove(catalog: Catalog, dropped: Iterable[int], min_age: datetime.timedelta) -> Versions:
    """Table versions that go with the snapshots `dropped`, of the tables that have any.

    A version goes if no other snapshot has it and it has not been the latest for `min_age`: whoever began to read or to
    record it before that is taken to have finished.
    """
    dropped = set(dropped)
    records = catalog.versions.records()
    recorded = recorded_versions(record for record in records if record.version not in dropped)
    # Tables that only a snapshot names are the atlas's too.
    notes = catalog.versions.notes.table
    own = [*catalog.tables, catalog.versions.table, *([notes] if notes is not None else [])]
    names = {table.name for table in own} | recorded_versions(records).keys()
    going = {
        table.name: versions_superseded(table, min_age) - recorded.get(table.name, set())
        for table in existing_tables(catalog, names)
    }
    return {name: versions for name, versions in going.items() if versions}


def still_to_remove(catalog: Catalog, table: Table, versions: set[int], min_age: datetime.timedelta) -> list[int]:
    """Those of `versions` of one table that go now as well, ascending: a snapshot may have come to record some."""
    recorded = recorded_versions(catalog.versions.records()).get(table.name, set())
    return sorted((versions & versions_superseded(table, min_age)) - recorded)
