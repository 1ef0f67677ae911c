"""One Lance table: create, open, pin, scan, append, merge, compact.

A *pinned* table shows one recorded version for good; any other table shows the latest version at each call, so that
what other processes committed is seen. Everything goes through pylance: it opens a table in a fraction of a
millisecond and loads four times faster than lancedb, which is needed only for search (see Catalog.lancedb_table).

Lance reports a caller's mistake (unknown column, bad SQL) as ValueError; it leaves here as InvalidArgumentError.
"""

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import lance
import numpy as np
import pyarrow as pa
from lance.commit import CommitConflictError

from homeobox.catalog import sql
from homeobox.catalog.location import AtlasLocation
from homeobox.errors import ConflictError, HomeoboxError, InvalidArgumentError, NotFoundError, StoreError

# 2.1 is the newest file format that homeobox 0.2.2 can filter, append to and optimize; 2.2 makes it crash.
FILE_FORMAT: Final = "2.1"

_WRITE_TRIES = 60


class TableNotFoundError(NotFoundError, ValueError):
    """The database has no such table, or the table no such version."""


class Table:
    """A table of one atlas.

    Parameters
    ----------
    name : str
        Its name in the database.
    dataset : lance.LanceDataset
        The open dataset.
    pinned : bool
        Whether the version never moves; a pinned table refuses to write.
    """

    def __init__(self, name: str, dataset: lance.LanceDataset, *, pinned: bool) -> None:
        self.name = name
        self.pinned = pinned
        self._dataset = dataset

    @classmethod
    def create(cls, location: AtlasLocation, name: str, schema: pa.Schema) -> "Table":
        """Create an empty table. Raises ConflictError if one of that name exists, StoreError if that fails."""
        uri = location.table_uri(name)
        try:
            dataset = lance.write_dataset(
                schema.empty_table(),
                uri,
                schema=schema,
                mode="create",
                storage_options=location.storage_options,
                data_storage_version=FILE_FORMAT,
            )
        except OSError as error:
            with contextlib.suppress(TableNotFoundError):  # its folder alone may be what a failure left
                cls.open(location, name)
                raise ConflictError(f"table '{name}' already exists in {location.db_uri}") from error
            raise StoreError(f"table '{name}' cannot be created: {plain_message(error)}") from error
        return cls(name, dataset, pinned=False)

    @classmethod
    def open(cls, location: AtlasLocation, name: str, version: int | None = None) -> "Table":
        """Open a table, pinned if a version is given.

        Raises
        ------
        TableNotFoundError
            No such table or version; also a ValueError.
        StoreError
            The version is there, or may be there, but cannot be opened.
        """
        try:
            dataset = lance.dataset(location.table_uri(name), version=version, storage_options=location.storage_options)
        except ValueError as error:
            existing = location.table_names()
            if version is None or name not in existing:
                message = f"table '{name}' was not found in {location.db_uri}, which has {existing}"
            else:
                message = f"version {version} of table '{name}' was not found in {location.db_uri}"
                if _may_have(location, name, version):
                    raise StoreError(
                        f"version {version} of table '{name}' in {location.db_uri} cannot be opened: "
                        f"{plain_message(error)}"
                    ) from error
            raise TableNotFoundError(message) from error
        return cls(name, dataset, pinned=version is not None)

    @property
    def dataset(self) -> lance.LanceDataset:
        """The Lance dataset at the version that this table shows now."""
        if not self.pinned:
            self._dataset.checkout_latest()
        return self._dataset

    @property
    def version(self) -> int:
        """Lance version number shown now."""
        return self.dataset.version

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema."""
        return self._dataset.schema

    def count(self, where: str | None = None) -> int:
        """Number of rows that match an SQL filter; all of them without one, which costs no read."""
        with self._caller_errors():
            if where is None:
                return self.dataset.count_rows()
            # Lance's own count reports a mistake in the SQL as OSError, a scan as the ValueError that it is.
            return self.dataset.scanner(columns=[], with_row_id=True, filter=where).count_rows()

    def scan(
        self,
        columns: list[str] | None = None,
        where: str | None = None,
        *,
        limit: int | None = None,
        offset: int | None = None,
    ) -> pa.Table:
        """Rows in scan order.

        Parameters
        ----------
        columns : list of str, optional
            Names; ``"struct.child"`` reads one child of a struct into a column of that name. Default: all columns.
        where : str, optional
            SQL filter.
        limit, offset : int, optional
            Rows to give and to skip, after filtering.

        Raises
        ------
        InvalidArgumentError
            Unknown column, or SQL that does not parse; says what Lance said.
        """
        # Lance takes limit 0 for "no limit".
        empty = limit == 0
        with self._caller_errors():
            table = self.dataset.to_table(columns=columns, filter=where, limit=1 if empty else limit, offset=offset)
        return table.slice(0, 0) if empty else table

    def append(self, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Append rows of exactly the table's schema, in one commit."""
        self._refuse_if_pinned("append to")
        self._refuse_other_columns(rows, whole_rows=True)
        with self._write_errors():
            self._dataset = lance.write_dataset(rows, self.dataset, mode="append")

    def insert_missing(self, on: list[str], rows: pa.Table) -> int:
        """Insert the rows whose key is not in the table yet, in one commit; returns how many."""
        self._refuse_if_pinned("insert into")
        self._refuse_other_columns(rows, whole_rows=True)
        with self._write_errors():
            merge = self.dataset.merge_insert(on).when_not_matched_insert_all()
            return int(merge.execute(rows)["num_inserted_rows"])

    def update_matching(self, on: list[str], rows: pa.Table) -> int:
        """Set the columns of `rows` in the rows with an equal key, in one commit; returns how many changed.

        For values that are right whoever commits in between; others need :meth:`update_computed`.
        """
        self._refuse_if_pinned("update")
        self._refuse_other_columns(rows, whole_rows=False)
        with self._write_errors():
            merge = self.dataset.merge_insert(on).when_matched_update_all()
            return int(merge.execute(rows)["num_updated_rows"])

    def update_computed(self, on: list[str], columns: list[str], rows_of: Callable[[pa.Table], pa.Table]) -> int:
        """Set columns to values that depend on all rows: computed again whenever one of these rows changed.

        Parameters
        ----------
        on : list of str
            Key columns.
        columns : list of str
            What the values depend on.
        rows_of : callable
            Gets those columns of all rows, gives keys and new values; no rows end it without a commit.

        Returns
        -------
        int
            How many rows changed.
        """
        n_updated = 0

        def operation(dataset: lance.LanceDataset) -> Any:
            nonlocal n_updated
            rows = rows_of(dataset.to_table(columns=columns))
            n_updated = 0
            if not rows.num_rows:
                return None
            # Matched against the version that was scanned; Table.dataset might already be a later one.
            merge = dataset.merge_insert(on).when_matched_update_all()
            transaction, changed = merge.execute_uncommitted(rows)
            n_updated = int(changed["num_updated_rows"])
            return transaction.operation

        self._commit_or_retry(operation)
        return n_updated

    def append_computed(self, rows_of: Callable[[pa.Table], pa.Table], columns: list[str] | None = None) -> None:
        """Append rows that depend on the present ones: computed again whenever another commit came in between.

        `rows_of` gets `columns` of the present rows (default: all); no rows end it without a commit.

        A plain Lance append is rebased onto what came in between, so two writers that each take "the next number"
        would get the same one. A commit that states the whole list of fragments cannot be rebased: one of two fails.
        """

        def operation(dataset: lance.LanceDataset) -> Any:
            rows = rows_of(dataset.to_table(columns=columns))
            if not rows.num_rows:
                return None
            present = [fragment.metadata for fragment in dataset.get_fragments()]
            added = lance.fragment.write_fragments(rows, dataset)
            first_free = max((fragment.id for fragment in present), default=-1) + 1
            for position, fragment in enumerate(added):
                fragment.id = first_free + position
            return lance.LanceOperation.Merge(present + added, dataset.lance_schema)

        self._commit_or_retry(operation)

    def delete_chosen(self, columns: list[str], chosen_of: Callable[[pa.Table], np.ndarray]) -> int:
        """Delete rows by position, in one commit; chosen again whenever these rows changed in between.

        Parameters
        ----------
        columns : list of str
            What the choice depends on.
        chosen_of : callable
            Gets those columns of all rows, gives positions of rows to delete.

        Returns
        -------
        int
            How many were deleted.
        """
        n_deleted = 0

        def operation(dataset: lance.LanceDataset) -> Any:
            nonlocal n_deleted
            rows = dataset.to_table(columns=columns, with_row_address=True)
            addresses = rows["_rowaddr"].to_numpy()[chosen_of(rows)]
            n_deleted = len(addresses)
            if not n_deleted:
                return None
            # Addresses (fragment << 32 | row) hold for one version only, so it is made on that version's fragments.
            changed, emptied = [], []
            for fragment in dataset.get_fragments():
                inside = addresses[addresses >> 32 == fragment.fragment_id]
                if len(inside):
                    left = fragment.delete(sql.is_in("_rowaddr", inside.tolist()))
                    if left is None:
                        emptied.append(fragment.fragment_id)
                    else:
                        changed.append(left)
            return lance.LanceOperation.Delete(changed, emptied, "rows chosen by position")

        self._commit_or_retry(operation)
        return n_deleted

    def _commit_or_retry(self, operation_of: Callable[[lance.LanceDataset], Any]) -> None:
        """Commit an operation made from the latest version; make it anew when another commit conflicts with it."""
        self._refuse_if_pinned("write to")

        def attempt() -> None:
            dataset = self.dataset
            operation = operation_of(dataset)
            if operation is not None:
                lance.LanceDataset.commit(dataset, operation, read_version=dataset.version, max_retries=0)

        self._retry(attempt, "write")

    def _retry(self, attempt: Callable[[], object], what: str) -> None:
        """Run a write again for as long as other commits come in between.

        pylance reports some lost races as plain OSError; there was one if the table has moved.

        Raises
        ------
        ConflictError
            Others were faster each time.
        StoreError
            The write failed for another reason.
        """
        for tries in range(_WRITE_TRIES):
            before = self.version
            try:
                with self._caller_errors():
                    attempt()
                return
            except CommitConflictError:
                pass
            except OSError as error:
                if self.version == before:
                    raise StoreError(f"table '{self.name}': the {what} failed: {plain_message(error)}") from error
            # Writers that failed together would otherwise meet again.
            time.sleep(random.random() * min(0.001 * 2**tries, 0.2))
        raise ConflictError(f"table '{self.name}' changed during each of {_WRITE_TRIES} tries to {what}; try later")

    def delete(self, where: str) -> None:
        """Delete the rows that match, in one commit."""
        self._refuse_if_pinned("delete from")
        with self._write_errors():
            # Lance's delete reports a mistake in the SQL as OSError, a scan as the ValueError that it is.
            self.dataset.scanner(columns=[], with_row_id=True, filter=where).explain_plan()
            self.dataset.delete(where)

    def compact(self) -> None:
        """Rewrite many small files into few large ones. Older versions stay, so no snapshot is lost."""
        self._refuse_if_pinned("compact")
        self._retry(lambda: self.dataset.optimize.compact_files(), "compact")

    def at(self, version: int) -> "Table":
        """The table pinned at one of its versions."""
        return Table(self.name, self._dataset.checkout_version(version), pinned=True)

    def remove_versions(self, versions: list[int]) -> int:
        """Remove versions and the files that no other version needs; returns the bytes freed.

        What is the latest version stays, and so do files that no version has yet and that are younger than a week.
        """
        self._refuse_if_pinned("remove versions of")
        with self._write_errors():
            stats = self.dataset.cleanup_old_versions(versions=versions, error_if_tagged_old_versions=False)
        return int(stats.bytes_removed)

    def restore(self, version: int) -> None:
        """Make an older version the latest one, as a new version."""
        self._refuse_if_pinned("restore")
        with self._write_errors():
            self._dataset.checkout_version(version).restore()
        self._dataset.checkout_latest()

    def _refuse_if_pinned(self, verb: str) -> None:
        if self.pinned:
            raise InvalidArgumentError(
                f"cannot {verb} table '{self.name}': this atlas is checked out at a snapshot and read-only. "
                "RaggedAtlas.open gives a writable handle"
            )

    def _refuse_other_columns(self, rows: pa.Table | pa.RecordBatchReader, *, whole_rows: bool) -> None:
        """Lance reports a column too many or too few as it reports a failing disk."""
        found, expected = rows.schema.names, self.schema.names
        if set(found) - set(expected) or (whole_rows and set(expected) - set(found)):
            raise InvalidArgumentError(f"table '{self.name}': expected columns {expected}, found {found}")

    @contextlib.contextmanager
    def _caller_errors(self) -> Iterator[None]:
        try:
            yield
        except HomeoboxError:
            raise
        except ValueError as error:
            raise InvalidArgumentError(f"table '{self.name}': {plain_message(error)}") from error

    @contextlib.contextmanager
    def _write_errors(self) -> Iterator[None]:
        try:
            with self._caller_errors():
                yield
        except HomeoboxError:
            raise
        except CommitConflictError as error:
            raise ConflictError(f"table '{self.name}': {plain_message(error)}") from error
        except OSError as error:
            raise StoreError(f"table '{self.name}': {plain_message(error)}") from error

    def __repr__(self) -> str:
        return f"Table('{self.name}', version {self._dataset.version}{', pinned' if self.pinned else ''})"


def _may_have(location: AtlasLocation, name: str, version: int) -> bool:
    """Whether a version is listed; one that is not known to be gone may be needed."""
    try:
        dataset = lance.dataset(location.table_uri(name), storage_options=location.storage_options)
        return version in [listed["version"] for listed in dataset.versions()]
    except (ValueError, OSError, RuntimeError):
        return True


def plain_message(error: Exception) -> str:
    """What Lance said, without the places in its own source."""
    return re.sub(r",? \S+\.rs:\d+:\d+", "", str(error)).strip()


def as_table(source: Any) -> Table:
    """A Table of what a user may hold: ours, an object with a ``table`` (a registry), or a lancedb table."""
    if isinstance(source, Table):
        return source
    if isinstance(getattr(source, "table", None), Table):
        return source.table
    return Table(source.name, lance.dataset(source.to_lance().uri), pinned=False)
