"""The versions of a table that are there, and which of them nobody can be working with any more."""

import datetime
import itertools
from collections.abc import Iterable
from typing import cast

import lance

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


def widest_versions(table: Table, versions: Iterable[int]) -> list[int]:
    """Those of `versions`, ascending, that together have every fragment of all of them.

    A version that was only appended to lives on in the next, so of a history of appends the last is enough, and the
    fragments of an atlas that grew by a thousand ingests are told once, not a thousand times.
    """
    wanted = sorted(versions)
    if len(wanted) < 2:
        return wanted
    try:
        dataset = table.at(wanted[-1]).dataset
        # Newest first, one for each version, back to the first that is gone. Each is a request.
        transactions = dataset.get_transactions(wanted[-1] - wanted[0])
    except (ValueError, OSError, RuntimeError):
        return wanted  # whoever opens the one that cannot be read gets the error
    appended = {
        dataset.version - steps_back
        for steps_back, transaction in enumerate(transactions)
        if transaction is not None and isinstance(transaction.operation, lance.LanceOperation.Append)
    }
    return [
        version
        for version, later in itertools.zip_longest(wanted, wanted[1:])
        if later is None or not appended.issuperset(range(version + 1, later + 1))
    ]
