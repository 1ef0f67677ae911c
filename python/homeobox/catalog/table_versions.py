"""The versions of a table that are there, and which of them nobody can be working with any more."""

import datetime
import itertools
from typing import cast

from homeobox.catalog.tables import Table


def version_numbers(table: Table) -> list[int]:
    """Lance versions that are there, ascending."""
    return [version["version"] for version in table.dataset.versions()]


def versions_superseded(table: Table, min_age: datetime.timedelta) -> set[int]:
    """Versions whose successor was committed more than `min_age` ago; never the latest."""
    earlier = datetime.datetime.now(datetime.UTC) - min_age
    return {
        version["version"]
        for version, successor in itertools.pairwise(table.dataset.versions())
        if _utc(cast(datetime.datetime, successor["timestamp"])) <= earlier
    }


def _utc(local: datetime.datetime) -> datetime.datetime:
    """Lance tells local time; of a moment that the clock shows twice, the later one."""
    return local.replace(fold=1).astimezone(datetime.UTC)


def bytes_of_versions(table: Table, versions: list[int]) -> int:
    """What removing versions would free."""
    explained = table.dataset.explain_cleanup_old_versions(versions=versions, error_if_tagged_old_versions=False)
    return int(explained.stats.bytes_removed)
