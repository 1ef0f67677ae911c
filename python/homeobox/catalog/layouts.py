"""Layouts: the feature order of a group, shared by all datasets with the same order.

A layout is a set of rows (layout_uid, feature_uid, local_index, global_index). Its uid is a digest of the ordered
uids, so equal orders meet. ``global_index`` is a copy of the registry's, filled in by ``sync`` where it was not yet
known. Registries number their features independently, so features that two of them have are a layout in each, whose
uid is a digest of the feature space too. layout_choice.py says which of the two uids a dataset gets.
"""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from homeobox.catalog import sql
from homeobox.catalog.arrow_schema import to_arrow_schema
from homeobox.catalog.registry import Registry, as_registry
from homeobox.catalog.tables import Table, as_table
from homeobox.errors import ConflictError, InvalidArgumentError, NotFoundError
from homeobox.schema import FeatureLayout, compute_layout_uid

if TYPE_CHECKING:
    import polars as pl

LAYOUTS_TABLE = "_feature_layouts"

#: In an array of global indices: the feature has none yet.
ABSENT = -1


class LayoutTable:
    """The layouts of an atlas. A layout never changes order, so a pinned table keeps what it read."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._kept: dict[str, tuple[list[str], np.ndarray]] = {}

    def read(self, layout_uid: str) -> tuple[list[str], np.ndarray]:
        """Feature uids in local order, and their global indices (int32; ``ABSENT`` where there is none yet).

        Raises
        ------
        NotFoundError
            No layout of that uid.
        """
        kept = self._kept.get(layout_uid)
        if kept is not None:
            return kept
        rows = self.rows(layout_uid, ["feature_uid", "local_index", "global_index"])
        if not rows.num_rows:
            raise NotFoundError(f"layout '{layout_uid}' is not in table '{self.table.name}'")
        indices = pc.fill_null(rows["global_index"], ABSENT).to_numpy().astype(np.int32)
        answer = (rows["feature_uid"].to_pylist(), indices)
        if self.table.pinned:
            indices.flags.writeable = False
            self._kept[layout_uid] = answer
        return answer

    def rows(self, layout_uid: str, columns: list[str] | None = None) -> pa.Table:
        """The rows of one layout by ascending local index; none if it is unknown."""
        rows = self.table.scan(columns, sql.equals("layout_uid", layout_uid))
        local = rows["local_index"].to_numpy()
        if np.all(local[1:] > local[:-1]):
            return rows
        # Two writers that added the same layout at once leave each row twice, until optimize() removes them.
        return rows.take(np.unique(local, return_index=True)[1])

    def exists(self, layout_uid: str) -> bool:
        """Whether the layout is stored."""
        return (
            layout_uid in self._kept
            or self.table.scan(["local_index"], sql.equals("layout_uid", layout_uid), limit=1).num_rows > 0
        )

    def add_rows(self, rows: pa.Table) -> bool:
        """Store what :func:`layout_rows` gave, unless it is there. Returns whether it was added.

        Raises
        ------
        ConflictError
            It is there with other indices, so it is that of another feature space, or damaged.
        """
        if not rows.num_rows:
            return False
        stored = self.rows(rows["layout_uid"][0].as_py())
        if stored.num_rows:
            self.refuse_contradiction(stored, rows)
            return False
        self.table.insert_missing(["layout_uid", "feature_uid"], rows)
        return True

    def refuse_contradiction(self, stored: pa.Table, rows: pa.Table) -> None:
        """ConflictError if `rows` give a feature another index than the stored rows of the layout; names the first."""
        if not contradicts(stored, rows):
            return
        where = f"layout '{rows['layout_uid'][0].as_py()}' is stored in table '{self.table.name}'"
        if not stored["feature_uid"].equals(rows["feature_uid"]):
            raise ConflictError(f"{where} with other features: {stored.num_rows}, expected {rows.num_rows}")
        wrong = pc.fill_null(pc.not_equal(stored["global_index"], rows["global_index"]), False)
        raise ConflictError(
            f"{where} with other global indices than the registry has, for {pc.sum(wrong).as_py()} of its "
            f"{rows.num_rows} features. First 5: {rows['feature_uid'].filter(wrong)[:5].to_pylist()}. optimize() "
            "repairs layouts with the indices of another feature space, if the atlas is opened with all its registries"
        )

    def sync(self, registry: Registry, layout_uids: Collection[str] | None = None) -> int:
        """Copy global indices of a registry into layout rows that have none; one commit. Returns how many.

        `layout_uids` are the layouts of its feature space; None means all, where there is no other registry.
        """
        waiting = self.table.scan(["layout_uid", "feature_uid"], "global_index IS NULL")
        if layout_uids is not None:
            waiting = waiting.filter(pc.is_in(waiting["layout_uid"], value_set=pa.array(layout_uids, pa.string())))
        if not waiting.num_rows:
            return 0
        registered = registry.arrow()
        found = pc.index_in(waiting["feature_uid"].combine_chunks(), registered["uid"].combine_chunks())
        indices = registered["global_index"].combine_chunks().take(found)
        rows = waiting.append_column("global_index", indices).filter(pc.is_valid(indices))
        return self.table.update_matching(["layout_uid", "feature_uid"], rows) if rows.num_rows else 0

    def remove_duplicates(self) -> int:
        """Remove rows that two writers of one layout left twice; one commit. Returns how many."""
        return self.table.delete_chosen(["layout_uid", "feature_uid", "global_index"], _repeated_rows)


def contradicts(stored: pa.Table, rows: pa.Table) -> bool:
    """Whether a stored layout, by local index, has other features than `rows` or gives one another index.

    A null index fits any, and so does a layout that is not stored.
    """
    if not stored.num_rows:
        return False
    if not stored["feature_uid"].equals(rows["feature_uid"]):
        return True
    return bool(pc.any(pc.not_equal(stored["global_index"], rows["global_index"])).as_py())


def _repeated_rows(rows: pa.Table) -> np.ndarray:
    """Positions of all rows but one for each (layout_uid, feature_uid), which has a global index if one has."""
    keys = pc.binary_join_element_wise(rows["layout_uid"], rows["feature_uid"], "\0").combine_chunks()
    codes = keys.dictionary_encode().indices.to_numpy()
    waiting = pc.is_null(rows["global_index"]).to_numpy(zero_copy_only=False)
    by_preference = np.argsort(waiting, kind="stable")
    return np.delete(by_preference, np.unique(codes[by_preference], return_index=True)[1])


def layout_rows(
    feature_uids: Sequence[str] | pa.Array, registry: Registry, others: Collection[Registry] = ()
) -> tuple[str, pa.Table]:
    """The uid and the rows of a layout, checked against a registry; nothing is stored.

    `others` are the registries of the other feature spaces of the atlas. A list that one of them has in full may be
    stored there already, or be stored there later, with other indices; its uid then depends on the feature space.
    Which layouts are stored, and under which uid, is not asked here but by :func:`choose_layout`.

    Raises
    ------
    InvalidArgumentError
        Null or duplicate uids; counts them.
    UnknownFeatureError
        Uids that are not registered; names the first five.
    """
    uids = feature_uids if isinstance(feature_uids, pa.Array) else pa.array(feature_uids, pa.string())
    if uids.null_count:
        raise InvalidArgumentError(f"{uids.null_count} empty global_feature_uid value(s)")
    n_distinct = pc.count_distinct(uids).as_py()
    if n_distinct != len(uids):
        counts = pc.value_counts(uids)
        repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
        raise InvalidArgumentError(
            f"duplicate global_feature_uid value(s): {len(uids)} rows, {n_distinct} distinct uids. "
            f"First 5: {repeated[:5].to_pylist()}"
        )
    positions, registered = registry.positions(uids)
    shared = any(other.has_all(uids) for other in others)
    names = uids.to_pylist()
    layout_uid = layout_uid_in_space(names, registry.feature_space) if shared else compute_layout_uid(names)
    columns = [
        pa.repeat(pa.scalar(layout_uid), len(uids)),
        uids,
        pa.array(np.arange(len(uids), dtype=np.int64)),
        registered["global_index"].combine_chunks().take(pa.array(positions)),
    ]
    return layout_uid, pa.Table.from_arrays(columns, schema=to_arrow_schema(FeatureLayout))


def layout_uid_in_space(feature_uids: Sequence[str], feature_space: str) -> str:
    """The uid of a list that registries of several feature spaces have: no other space has it."""
    return compute_layout_uid(["", feature_space, *feature_uids])


def feature_uids_of(var_df: "pl.DataFrame") -> pa.Array:
    """The ``global_feature_uid`` column of a var table. InvalidArgumentError without one."""
    if "global_feature_uid" not in var_df.columns:
        raise InvalidArgumentError(f"var has no column 'global_feature_uid', found {list(var_df.columns)}")
    return pa.array(var_df["global_feature_uid"].to_list(), pa.string())


def build_feature_layout_df(
    var_df: "pl.DataFrame", registry_table: Any, *, feature_space: str | None = None, others: Sequence[Any] = ()
) -> "tuple[str, pl.DataFrame]":
    """The layout of a var table.

    Parameters
    ----------
    var_df : polars.DataFrame
        Rows in the dataset's feature order, with a column ``global_feature_uid``.
    registry_table : Registry or table
        The registry of the feature space.
    feature_space : str, optional
        By default what the registry says: its name without ``_registry``.
    others : sequence of Registry or table, optional
        The registries of the other feature spaces of the atlas.

    Returns
    -------
    layout_uid : str
    frame : polars.DataFrame
        ``layout_uid, feature_uid, local_index, global_index``, rows in var order; the index may be null.

    Raises
    ------
    InvalidArgumentError
        No column ``global_feature_uid``, null or duplicate uids.
    UnknownFeatureError
        Uids that are not registered.

    Notes
    -----
    The uid is that of the list alone, also where :meth:`RaggedAtlas.add_or_reuse_layout` gives a dataset another one:
    it knows the other registries of the atlas, and a list that one of them has too gets a uid that depends on the
    feature space, unless a layout that fits is stored. With `others` the uid is that of a new layout in such an atlas;
    which are stored is not looked up. Stage: stable; `feature_space` and `others` are experimental.
    """
    import polars as pl

    registry = as_registry(registry_table)
    if feature_space is not None:
        registry = Registry(feature_space, registry.table)
    layout_uid, rows = layout_rows(feature_uids_of(var_df), registry, [as_registry(other) for other in others])
    return layout_uid, pl.DataFrame(rows)


def layout_exists(table: Any, layout_uid: str) -> bool:
    """Whether a layout is stored in a layouts table."""
    return LayoutTable(as_table(table)).exists(layout_uid)


def read_feature_layout(table: Any, layout_uid: str) -> "pl.DataFrame":
    """The rows of one layout by local index; an empty frame if it is unknown."""
    import polars as pl

    return pl.DataFrame(LayoutTable(as_table(table)).rows(layout_uid))


def sync_layouts_global_index(layouts_table: Any, registry_table: Any) -> int:
    """Fill in the global indices that layout rows lack. Returns the number of rows updated."""
    return LayoutTable(as_table(layouts_table)).sync(as_registry(registry_table))
