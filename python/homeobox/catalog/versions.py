"""The version table: one row per snapshot, which names the version of every other table."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

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
        numbered = record

        def next_row(present: pa.Table) -> pa.Table:
            nonlocal numbered
            taken = present["version"].to_pylist()
            numbered = record.model_copy(update={"version": max(taken, default=-1) + 1})
            return rows_to_arrow([numbered], self.table.schema, "version table")

        self.table.append_computed(next_row)
        return numbered
