"""The version table: one row per snapshot, which names the version of every other table."""

import datetime
import operator
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np
import pyarrow as pa

from homeobox.catalog.arrow_schema import rows_to_arrow
from homeobox.catalog.snapshot_notes import SnapshotNotes
from homeobox.catalog.tables import Table
from homeobox.errors import ConflictError, InvalidArgumentError, NotFoundError
from homeobox.schema import AtlasVersionRecord

if TYPE_CHECKING:
    import polars as pl

VERSIONS_TABLE = "atlas_versions"

#: What a user may say to mean a snapshot: its number, its name, or a time (also as ISO 8601 text).
WhichSnapshot = int | str | datetime.date


class VersionNotFoundError(NotFoundError, ValueError):
    """The atlas has no snapshot of that number, name or time, or none at all."""


class SnapshotNameTakenError(ConflictError, ValueError):
    """Another snapshot has that name."""


class VersionTable:
    """The snapshots of an atlas, and their names."""

    def __init__(self, table: Table, notes: SnapshotNotes) -> None:
        self.table = table
        self.notes = notes

    def arrow(self) -> pa.Table:
        """All snapshots by ascending number; rows of one number stay in the order in which they were committed."""
        rows = self.table.scan()
        return rows.take(np.argsort(rows["version"].to_numpy(), kind="stable"))

    def records(self) -> list[AtlasVersionRecord]:
        """The snapshots by ascending number, one of each."""
        # 0.2.2 could give one number twice; like it, the first such row is the snapshot.
        first = {row["version"]: row for row in reversed(self.arrow().to_pylist())}
        return [AtlasVersionRecord(**first[version]) for version in sorted(first)]

    def names(self) -> dict[int, str]:
        """Number -> name of the snapshots that have one."""
        names = self.notes.names()
        return {record.version: names[record.created_at] for record in self.records() if record.created_at in names}

    def frame(self) -> "pl.DataFrame":
        """All snapshots as a polars frame, in the columns of the table; ``name`` behind the number if any has one.

        An atlas without names, such as one of 0.2.2, gives what 0.2.2 gives.
        """
        import polars as pl

        rows = pl.DataFrame(self.arrow())
        names = self.notes.names()
        named = [names.get(moment) for moment in rows["created_at"]]
        if not any(named):
            return rows
        return rows.insert_column(1, pl.Series("name", named, dtype=pl.String))

    def find(self, which: WhichSnapshot | SupportsIndex) -> AtlasVersionRecord:
        """The record of one snapshot.

        Parameters
        ----------
        which : int, str, datetime or date
            A number (``3`` or ``"3"``), a name, or a time, as an object or as ISO 8601 text: the newest snapshot taken
            at that moment or before. A time without a zone is in UTC; a date without a time is the end of that day.

        Raises
        ------
        VersionNotFoundError
            No such snapshot; lists those that exist.
        InvalidArgumentError
            Something that is neither number, name nor time.
        """
        records = self.records()
        if not records:
            raise VersionNotFoundError("No snapshots found in atlas; snapshot() on a writable handle takes one")
        moment = as_moment(which)
        if moment is not None:
            before = [record for record in records if _utc(record.created_at) <= moment]
            if before:
                return max(before, key=lambda record: (_utc(record.created_at), record.version))
            raise VersionNotFoundError(
                f"No atlas version was there at {moment.isoformat()}: the first snapshot was taken at "
                f"{min(records, key=lambda record: _utc(record.created_at)).created_at}"
            )
        number = as_number(which)
        if number is not None:
            for record in records:
                if record.version == number:
                    return record
        names = self.names()
        for record in records:
            if number is None and names.get(record.version) == which:
                return record
        existing = [record.version for record in records]
        named = f"; by name: {sorted(names.values())}" if names else ""
        raise VersionNotFoundError(f"Atlas version {which!r} not found; snapshots that exist: {existing}{named}")

    def latest(self) -> AtlasVersionRecord:
        """The record of the highest snapshot. Raises VersionNotFoundError if there is none."""
        records = self.records()
        if not records:
            raise VersionNotFoundError("No snapshots found in atlas; snapshot() on a writable handle takes one")
        return records[-1]

    def recorded_store_uri(self) -> str:
        """Where the newest snapshot says the arrays are; empty without a snapshot."""
        rows = self.arrow()
        return rows["zarr_store_uri"][-1].as_py() if rows.num_rows else ""

    def check_name(self, name: str) -> None:
        """Refuse a name that no new snapshot can have.

        Raises
        ------
        InvalidArgumentError
            Not a text, empty, or one that reads as a number or a time.
        SnapshotNameTakenError
            A snapshot has it; says which.
        """
        if not isinstance(name, str) or not name.strip() or name != name.strip():
            raise InvalidArgumentError(f"a snapshot's name is a text without spaces around it, found {name!r}")
        if as_number(name) is not None or as_moment(name) is not None:
            raise InvalidArgumentError(
                f"a snapshot's name must not read as a number or a time, found {name!r}: checkout would not know what "
                "is meant"
            )
        for version, taken in self.names().items():
            if taken == name:
                raise SnapshotNameTakenError(f"snapshot {version} has the name {name!r} already; choose another")

    def add(self, record: AtlasVersionRecord, name: str | None = None) -> AtlasVersionRecord:
        """Append a snapshot under the next free number, whoever else does so at the same time.

        Its note must have been written. Of two that take one name at once the first commit gets it.

        Returns
        -------
        AtlasVersionRecord
            `record` with its number.

        Raises
        ------
        SnapshotNameTakenError
            Another snapshot took the name meanwhile; nothing was recorded.
        """
        numbered = record

        def next_row(present: pa.Table) -> pa.Table:
            nonlocal numbered
            taken = present["version"].to_pylist()
            if name is not None and name in _names_at(self.notes, present["created_at"].to_pylist()):
                raise SnapshotNameTakenError(f"another snapshot took the name {name!r} meanwhile; choose another")
            numbered = record.model_copy(update={"version": max(taken, default=-1) + 1})
            return rows_to_arrow([numbered], self.table.schema, "version table")

        self.table.append_computed(next_row)
        return numbered

    def remove(self, records: list[AtlasVersionRecord]) -> None:
        """Forget snapshots, in one commit; then their notes."""
        if records:
            gone = {record.version for record in records}
            self.table.delete_chosen(["version"], lambda rows: np.flatnonzero(np.isin(rows["version"], list(gone))))
            self.notes.remove([record.created_at for record in records])


def _names_at(notes: SnapshotNotes, created_at: list[str]) -> set[str]:
    names = notes.names()
    return {names[moment] for moment in created_at if moment in names}


def as_number(which: object) -> int | None:
    """The snapshot number that is meant, or None where something else is.

    Raises
    ------
    InvalidArgumentError
        Not an int, a text, or a time.
    """
    if isinstance(which, str):
        return int(which) if which.isdecimal() and which.isascii() else None
    try:
        if isinstance(which, bool):
            raise TypeError
        return operator.index(which)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidArgumentError(
            f"a snapshot is meant by its number, its name or a time, found {which!r} ({type(which).__name__})"
        ) from None


def as_moment(which: object) -> datetime.datetime | None:
    """The moment that is meant, in UTC, or None where it is not a time."""
    if isinstance(which, str):
        if which.isdecimal():
            return None  # "20260330" would be a date, but is a number first
        try:
            day = len(which) == len("2026-03-30")
            which = datetime.date.fromisoformat(which) if day else datetime.datetime.fromisoformat(which)
        except ValueError:
            return None
    if isinstance(which, datetime.datetime):
        return which.replace(tzinfo=datetime.UTC) if which.tzinfo is None else which.astimezone(datetime.UTC)
    if isinstance(which, datetime.date):
        return datetime.datetime.combine(which, datetime.time.max, datetime.UTC)
    return None


def _utc(recorded: str) -> datetime.datetime:
    moment = as_moment(recorded)
    # What another writer recorded in another form can be meant by number only.
    return moment if moment is not None else datetime.datetime.max.replace(tzinfo=datetime.UTC)
