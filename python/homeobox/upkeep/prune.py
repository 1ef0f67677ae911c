"""Pruning: forgets snapshots, then removes the arrays and the table versions that nothing needs any more.

Order, so that a stop at any moment leaves an atlas that is whole and a call that can be repeated: the snapshots' rows,
the arrays under claims, and at last the table versions, which are what says whose the arrays were.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from contextlib import ExitStack

from homeobox.catalog import Catalog, Table
from homeobox.errors import ConflictError, InvalidArgumentError
from homeobox.ingest.group_claim import GroupClaim, hold_group
from homeobox.upkeep.prune_plan import Keep, PruneReport, plan_prune, records_to_drop

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
    catalog.versions.remove(drop)
    groups = _remove_groups(catalog, report.groups, min_age)
    table_versions, table_bytes = _remove_versions(catalog, min_age)
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


def _remove_groups(catalog: Catalog, groups: dict[str, int], min_age: datetime.timedelta) -> dict[str, int]:
    """Remove what still is not needed once nobody can write there; groups that somebody writes stay."""
    with ExitStack() as held:
        claims: dict[str, GroupClaim] = {}
        for group in groups:
            try:
                claims[group] = held.enter_context(hold_group(catalog.store, group))
            except ConflictError:
                continue
        unneeded = plan_prune(catalog, [], min_age).groups
        removed = {group: n_bytes for group, n_bytes in groups.items() if group in claims and group in unneeded}
        for group in removed:
            claims[group].remove_objects()
        return removed


def _remove_versions(catalog: Catalog, min_age: datetime.timedelta) -> tuple[dict[str, list[int]], int]:
    plan = plan_prune(catalog, [], min_age)
    freed = 0
    for name, versions in plan.table_versions.items():
        freed += Table.open(catalog.location, name).remove_versions(versions)
    return plan.table_versions, freed
