"""What this version knows of a snapshot and the version table has no column for: its name, the digests of its tables.

Kept in a table of its own beside the version table, because homeobox 0.2.2 appends to that one and knows only its own
columns. A note belongs to the snapshot with its `created_at`. It is written before the snapshot, so a note without one
means nothing: its snapshot was not taken.
"""

import datetime

import pyarrow as pa

from homeobox.catalog import sql
from homeobox.catalog.location import AtlasLocation
from homeobox.catalog.table_files import FileDigests, from_json, to_json
from homeobox.catalog.tables import Table, TableNotFoundError
from homeobox.errors import ConflictError

_SCHEMA = pa.schema(
    [
        pa.field("created_at", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("files", pa.string()),
    ]
)


class SnapshotNotes:
    """The notes of one version table; made with the first snapshot, so an atlas of 0.2.2 has none."""

    def __init__(self, location: AtlasLocation, version_table: str) -> None:
        self._location = location
        self._name = f"{version_table}_notes"
        self._opened: Table | None = None

    @property
    def table(self) -> Table | None:
        """The table, or None where there is none yet."""
        if self._opened is None:
            try:
                self._opened = Table.open(self._location, self._name)
            except TableNotFoundError:
                return None
        return self._opened

    def names(self) -> dict[str, str]:
        """`created_at` -> name, of the snapshots that have one."""
        if self.table is None:
            return {}
        rows = self.table.scan(["created_at", "name"], "name IS NOT NULL")
        return dict(zip(rows["created_at"].to_pylist(), rows["name"].to_pylist(), strict=True))

    def files(self, created_at: str) -> FileDigests:
        """The digests of one snapshot; none where none were recorded."""
        if self.table is None:
            return {}
        rows = self.table.scan(["files"], sql.equals("created_at", created_at))["files"].drop_null()
        return from_json(rows[0].as_py()) if len(rows) else {}

    def newest_files(self) -> FileDigests:
        """The digests of the note that was added last."""
        n_notes = 0 if self.table is None else self.table.count()
        if self.table is None or not n_notes:
            return {}
        rows = self.table.scan(["files"], offset=n_notes - 1, limit=1)["files"].drop_null()
        return from_json(rows[0].as_py()) if len(rows) else {}

    def add(self, created_at: str, name: str | None, files: FileDigests) -> str:
        """Append a note; returns its `created_at`, which is a microsecond later for each note that has the same."""
        table = self._created()
        moment = created_at

        def row(present: pa.Table) -> pa.Table:
            nonlocal moment
            moment, taken = created_at, set(present["created_at"].to_pylist())
            while moment in taken:
                moment = (datetime.datetime.fromisoformat(moment) + datetime.timedelta(microseconds=1)).isoformat()
            return pa.Table.from_pylist([{"created_at": moment, "name": name, "files": to_json(files)}], schema=_SCHEMA)

        table.append_computed(row, ["created_at"])
        return moment

    def remove(self, created_at: list[str]) -> None:
        """Remove the notes of snapshots that are no more."""
        if self.table is not None and created_at:
            self.table.delete(sql.is_in("created_at", created_at))

    def _created(self) -> Table:
        if self.table is None:
            try:
                self._opened = Table.create(self._location, self._name, _SCHEMA)
            except ConflictError:
                self._opened = Table.open(self._location, self._name)  # another snapshot was faster
        assert self.table is not None
        return self.table
