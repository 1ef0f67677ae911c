"""Pruning: forgets snapshots, then removes the arrays and the table versions that nothing needs any more.

Order, so that a stop at any moment leaves an atlas that is whole and a call that can be repeated: the snapshots' rows,
the arrays under claims, and at last the table versions, which are what says whose the arrays were.

Beside others: no restore runs meanwhile (alone.py), nor another prune. Each group is claimed on its own, and only for
as long as it takes to remove it. Who ingests under its name either came first, then its claim, its dataset row or its
cells are seen, and the group stays; or comes after, and is refused or finds a free name. A restore that came while the
user was still asked is seen the same way: its cells and rows are of the latest state, which needs their groups.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable

from homeobox.catalog import Catalog, Table
from homeobox.catalog.progress import step_progress
from homeobox.errors import ConflictError, InvalidArgumentError
from homeobox.ingest.claim import Claim
from homeobox.ingest.group_claim import hold_group
from homeobox.schema import AtlasVersionRecord
from homeobox.upkeep.alone import alone
from homeobox.upkeep.needed_groups import NeededGroups, Versions
from homeobox.upkeep.prune_plan import Keep, plan_prune, records_to_drop, still_to_remove, versions_to_remove
from homeobox.upkeep.prune_report import PruneReport
from homeobox.upkeep.recording import alone_with_snapshots

Confirm = bool | Callable[[PruneReport], bool] | None


def prune(catalog: Catalog, keep: Keep, confirm: Confirm, min_age: datetime.timedelta) -> PruneReport:
    """As `RaggedAtlas.prune` documents."""
    if catalog.read_only:
        raise InvalidArgumentError(f"cannot prune {catalog.location}: it is checked out and read-only")
    if confirm is not None and not isinstance(confirm, bool) and not callable(confirm):
        raise InvalidArgumentError(f"confirm is True, False, a function or None, found {confirm!r}")
    if not isinstance(min_age, datetime.timedelta):
        raise InvalidArgumentError(f"min_age is a datetime.timedelta, found {min_age!r} ({type(min_age).__name__})")
    if min_age < datetime.timedelta(0):
        raise InvalidArgumentError(f"min_age must not be negative, found {min_age}")
    drop = records_to_drop(catalog, keep)
    report = plan_prune(catalog, drop, min_age)
    if report.is_empty or not _is_confirmed(report, confirm):
        return report
    with (
        alone(catalog) as claim,
        step_progress("prune", len(report.groups) + len(report.table_versions)) as advance,
    ):
        _forget(catalog, drop)
        going = versions_to_remove(catalog, [], min_age)
        groups = _remove_groups(catalog, report.groups, going, claim, advance)
        table_versions, table_bytes = _remove_versions(catalog, going, min_age, claim, advance)
    return PruneReport(report.snapshots, groups, table_versions, table_bytes, removed=True)


def _is_confirmed(report: PruneReport, confirm: Confirm) -> bool:
    if callable(confirm):
        return bool(confirm(report))
    if confirm is not None:
        return confirm
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgumentError(
            "prune removes for good and nobody can be asked here: pass confirm=True, or a function that gets the "
            f"report and decides. Nothing was removed; this would be\n{report}"
        )
    return input(f"{report}\nRemove this for good? [y/N] ").strip().lower() in ("y", "yes")


def _forget(catalog: Catalog, drop: list[AtlasVersionRecord]) -> None:
    """The snapshot that stays as the newest may have been taken back since it was looked at."""
    if not drop:
        return
    newest_dropped = max(record.version for record in drop)
    with alone_with_snapshots(catalog):
        if not any(record.version > newest_dropped for record in catalog.versions.records()):
            raise ConflictError(
                f"the snapshots of {catalog.location} changed: none later than {newest_dropped} is left, which was to "
                "be forgotten; nothing was removed, try again"
            )
        catalog.versions.remove(drop)


def _remove_groups(
    catalog: Catalog, groups: dict[str, int], going: Versions, claim: Claim, advance: Callable[[int], None]
) -> dict[str, int]:
    """Remove what still is not needed once nobody can write there; groups that somebody writes stay."""
    needed = NeededGroups(catalog, going)
    removed = {}
    for group, n_bytes in groups.items():
        try:
            with hold_group(catalog.store, group) as held:
                needed.refresh()
                claim.confirm()
                if not needed.has(group):
                    held.remove_objects()
                    removed[group] = n_bytes
        except ConflictError:
            claim.confirm()  # the group is another's, and left alone; the atlas must not be
        advance(1)
    return removed


def _remove_versions(
    catalog: Catalog, going: Versions, min_age: datetime.timedelta, claim: Claim, advance: Callable[[int], None]
) -> tuple[dict[str, list[int]], int]:
    """Remove what was to go when the groups were looked at, and still is: a snapshot may record some by now."""
    removed: dict[str, list[int]] = {}
    freed = 0
    for name, versions in going.items():
        with alone_with_snapshots(catalog) as snapshots:
            table = Table.open(catalog.location, name)
            still = still_to_remove(catalog, table, versions, min_age)
            if still:
                claim.confirm()
                snapshots.confirm()
                freed += table.remove_versions(still)
                removed[name] = still
        advance(1)
    return removed, freed
