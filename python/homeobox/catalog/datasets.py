"""The dataset table: one row per group, with where it came from and which layout its features have."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from homeobox.catalog import sql
from homeobox.catalog.arrow_schema import rows_to_arrow
from homeobox.catalog.layouts import LayoutTable
from homeobox.catalog.tables import Table
from homeobox.errors import InvalidArgumentError, NotFoundError
from homeobox.schema import DatasetRecord

if TYPE_CHECKING:
    import polars as pl


class DatasetTable:
    """The datasets of an atlas."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._kept: pa.Table | None = None

    def arrow(self) -> pa.Table:
        """All rows. A pinned table is read once and kept."""
        if self._kept is not None:
            return self._kept
        rows = self.table.scan()
        if self.table.pinned:
            self._kept = rows
        return rows

    def frame(self) -> "pl.DataFrame":
        """All rows as a polars frame."""
        import polars as pl

        return pl.DataFrame(self.arrow())

    def by_group(self) -> dict[str, dict[str, Any]]:
        """Group path -> row."""
        return {row["zarr_group"]: row for row in self.arrow().to_pylist()}

    def check_new(self, record: DatasetRecord) -> None:
        """Refuse a record that could not be added; writes nothing.

        Raises
        ------
        InvalidArgumentError
            Its uid or its group is taken, or the table lacks one of its columns; names them.
        """
        rows_to_arrow([record], self.table.schema, self._where)
        same = f"{sql.equals('uid', record.uid)} OR {sql.equals('zarr_group', record.zarr_group)}"
        for row in self.table.scan(["uid", "zarr_group"], same).to_pylist():
            if row["zarr_group"] == record.zarr_group:
                raise InvalidArgumentError(f"{self._where}: zarr_group '{record.zarr_group}' already exists")
            raise InvalidArgumentError(
                f"{self._where}: uid '{record.uid}' already exists, of group '{row['zarr_group']}'"
            )

    def add(self, record: DatasetRecord) -> None:
        """Append one dataset. Errors as :meth:`check_new`."""
        self.check_new(record)
        self.table.append(rows_to_arrow([record], self.table.schema, self._where))

    def set_layout(self, uid: str, layout_uid: str) -> None:
        """Record the layout of a dataset. Raises NotFoundError if there is no such dataset."""
        n_updated = self.table.update_matching(["uid"], pa.table({"uid": [uid], "layout_uid": [layout_uid]}))
        if not n_updated:
            raise NotFoundError(f"{self._where}: no dataset has uid '{uid}'")

    def layouts_named(self, feature_space: str, layout_uids: Sequence[str]) -> list[str]:
        """Those of `layout_uids`, in their order, that a dataset of a feature space names, a pending one too."""
        if not layout_uids:
            return []
        where = f"{sql.equals('feature_space', feature_space)} AND {sql.is_in('layout_uid', layout_uids)}"
        named = set(self.table.scan(["layout_uid"], where)["layout_uid"].to_pylist())
        return [uid for uid in layout_uids if uid in named]

    def replace_layout(self, feature_space: str, old: str, new: str) -> int:
        """Let the datasets of a feature space that name one layout name another, in one commit; returns how many."""

        def renamed(rows: pa.Table) -> pa.Table:
            mine = pc.and_(pc.equal(rows["feature_space"], feature_space), pc.equal(rows["layout_uid"], old))
            uids = rows.filter(mine)["uid"]
            return pa.table({"uid": uids, "layout_uid": pa.repeat(pa.scalar(new), len(uids))})

        return self.table.update_computed(["uid"], ["uid", "feature_space", "layout_uid"], renamed)

    def distinct(self, column: str) -> list[Any]:
        """Distinct values of one column, in order of appearance."""
        return pc.unique(self.arrow()[column]).to_pylist()

    @property
    def _where(self) -> str:
        return f"dataset table '{self.table.name}'"


def datasets_with_features(
    rows: pa.Table, feature_uids: str | Sequence[str], feature_space: str, layouts: LayoutTable
) -> "pl.DataFrame":
    """One row per (dataset, feature) of the features that one of the datasets `rows` of the space measured.

    Returns
    -------
    polars.DataFrame
        ``zarr_group``, ``global_feature_uid`` and the dataset's columns except ``layout_uid``.
    """
    import polars as pl

    wanted = [feature_uids] if isinstance(feature_uids, str) else list(feature_uids)
    measured = layouts.table.scan(["layout_uid", "feature_uid"], sql.is_in("feature_uid", wanted))
    pairs = pl.DataFrame(measured).unique(maintain_order=True).rename({"feature_uid": "global_feature_uid"})
    datasets = pl.DataFrame(rows).filter(pl.col("feature_space") == feature_space)
    joined = datasets.join(pairs, on="layout_uid", how="inner", maintain_order="left").drop("layout_uid")
    first = ["zarr_group", "global_feature_uid"]
    return joined.select(*first, *[name for name in joined.columns if name not in first])
