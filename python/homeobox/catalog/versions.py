"""The version table: one row per snapshot, which names the version of every other table."""

from typing import TYPE_CHECKING

import lance
import numpy as np
import pyarrow as pa
from lance.commit import CommitConflictError

from homeobox.catalog.arrow_schema import rows_to_arrow
from homeobox.catalog.tables import Table
from homeobox.errors import NotFoundError
from homeobox.schema import AtlasVersionRecord

if TYPE_CHECKING:
    import polars as pl

VERSIONS_TABLE = "atlas_versions"


class VersionNotFoundError(NotFoundError, ValueError):
    """The atlas has no snapshot of that number, or none at all."""


class VersionTable:
    """The snapshots of an atlas."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def arrow(self) -> pa.Table:
        """All snapshots by ascending number; rows of one number stay in the order in which they were committed."""
        rows = self.table.scan()
        return rows.take(np.argsort(rows["version"].to_numpy(), kind="stable"))

    def frame(self) -> "pl.DataFrame":
        """The same as a polars frame."""
        import polars as pl

        return pl.DataFrame(self.arrow())

    def find(self, version: int) -> AtlasVersionRecord:
        """The record of one snapshot.

        Raises
        ------
        VersionNotFoundError
            No such snapshot; lists the numbers that exist.
        """
        rows = self.arrow().to_pylist()
        for row in rows:
            if row["version"] == version:
                return AtlasVersionRecord(**row)
        raise VersionNotFoundError(
            f"Atlas version {version} not found; snapshots that exist: {[row['version'] for row in rows]}"
        )

    def latest(self) -> AtlasVersionRecord:
        """The record of the highest snapshot. Raises VersionNotFoundError if there is none."""
        rows = self.arrow().to_pylist()
        if not rows:
            raise VersionNotFoundError("No snapshots found in atlas; snapshot() on a writable handle takes one")
        # 0.2.2 could give one number twice; like it, the first such row is the snapshot.
        highest = rows[-1]["version"]
        return AtlasVersionRecord(**next(row for row in rows if row["version"] == highest))

    def recorded_store_uri(self) -> str:
        """Where the newest snapshot says the arrays are; empty without a snapshot."""
        rows = self.arrow()
        return rows["zarr_store_uri"][-1].as_py() if rows.num_rows else ""

    def add(self, record: AtlasVersionRecord) -> AtlasVersionRecord:
        """Append a snapshot under the next free number, whoever else does so at the same time.

        Returns
        -------
        AtlasVersionRecord
            `record` with its number.
        """
        while True:
            dataset = self.table.dataset
            taken = self.table.scan(["version"])["version"].to_pylist()
            numbered = record.model_copy(update={"version": max(taken, default=-1) + 1})
            try:
                _append_if_unchanged(dataset, rows_to_arrow([numbered], dataset.schema, "version table"))
            except CommitConflictError:
                continue  # somebody took the number: count again
            return numbered


def _append_if_unchanged(dataset: lance.LanceDataset, rows: pa.Table) -> None:
    """Append, but only if nobody committed since `dataset` was read; else raises CommitConflictError.

    A Lance append is rebased onto whatever came in between, so two snapshots could get one number. A commit that
    states the whole list of fragments is not: one of two such commits loses.
    """
    fragments = [fragment.metadata for fragment in dataset.get_fragments()]
    added = lance.fragment.write_fragments(rows, dataset)
    first_free = max((fragment.id for fragment in fragments), default=-1) + 1
    for position, fragment in enumerate(added):
        fragment.id = first_free + position
    operation = lance.LanceOperation.Merge(fragments + added, dataset.schema)
    lance.LanceDataset.commit(dataset, operation, read_version=dataset.version, max_retries=0)


