"""Layouts: the feature order of a group, shared by all datasets with the same order.

A layout is a set of rows (layout_uid, feature_uid, local_index, global_index). Its uid is a digest of the ordered
uids, so equal orders meet. ``global_index`` is a copy of the registry's, filled in by ``sync`` where it was not yet
known. Registries number their features independently, so features that two of them have are a layout in each.
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
from homeobox.errors import InvalidArgumentError, NotFoundError
from homeobox.schema import FeatureLayout, ZarrGroupSpec, compute_layout_uid

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
        """Store what :func:`layout_rows` gave, unless it is there. Returns whether it was added."""
        if not rows.num_rows or self.exists(rows["layout_uid"][0].as_py()):
            return False
        self.table.insert_missing(["layout_uid", "feature_uid"], rows)
        return True

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
    layout_uid = compute_layout_uid([*(["", registry.feature_space] if shared else []), *uids.to_pylist()])
    columns = [
        pa.repeat(pa.scalar(layout_uid), len(uids)),
        uids,
        pa.array(np.arange(len(uids), dtype=np.int64)),
        registered["global_index"].combine_chunks().take(pa.array(positions)),
    ]
    return layout_uid, pa.Table.from_arrays(columns, schema=to_arrow_schema(FeatureLayout))


def feature_uids_of(var_df: "pl.DataFrame") -> pa.Array:
    """The ``global_feature_uid`` column of a var table. InvalidArgumentError without one."""
    if "global_feature_uid" not in var_df.columns:
        raise InvalidArgumentError(f"var has no column 'global_feature_uid', found {list(var_df.columns)}")
    return pa.array(var_df["global_feature_uid"].to_list(), pa.string())


def build_feature_layout_df(var_df: "pl.DataFrame", registry_table: Any) -> "tuple[str, pl.DataFrame]":
    """The layout of a var table.

    Parameters
    ----------
    var_df : polars.DataFrame
        Rows in the dataset's feature order, with a column ``global_feature_uid``.
    registry_table : Registry or table
        The registry of the feature space.

    Returns
    -------
    layout_uid : str
    frame : polars.DataFrame
        ``layout_uid, feature_uid, local_index, global_index``, rows in var order; the index may be null.
    """
    import polars as pl

    layout_uid, rows = layout_rows(feature_uids_of(var_df), as_registry(registry_table))
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


def validate_feature_layout(
    layouts_table: Any,
    layout_uid: str,
    *,
    spec: ZarrGroupSpec,
    group: Any = None,
    expected_feature_count: int | None = None,
    registry_table: Any = None,
) -> list[str]:
    """Check one layout: row count, nulls, duplicates, and that the registry has its uids with these indices.

    Parameters
    ----------
    layouts_table : table
        The layouts of the atlas.
    layout_uid : str
        Which one.
    spec : ZarrGroupSpec
        Of the group that uses it.
    group : GroupMetadata, optional
        A dense group says how many features are expected; a sparse one does not.
    expected_feature_count : int, optional
        Takes precedence over `group`.
    registry_table : Registry or table, optional
        Where the uids must be.

    Returns
    -------
    list of str
        One message per fault.
    """
    rows = as_table(layouts_table).scan(where=sql.equals("layout_uid", layout_uid))
    if expected_feature_count is None and group is not None:
        expected_feature_count = _dense_width(spec, group)
    faults = []
    if expected_feature_count is not None and rows.num_rows != expected_feature_count:
        faults.append(f"{rows.num_rows} rows, expected {expected_feature_count} features")
    if not rows.num_rows:
        return faults
    uids = rows["feature_uid"].combine_chunks()
    if uids.null_count:
        faults.append(f"{uids.null_count} row(s) have no feature_uid")
    n_repeated = len(uids) - uids.null_count - pc.count_distinct(uids).as_py()
    if n_repeated:
        faults.append(f"{n_repeated} duplicate feature_uid value(s)")
    if rows["global_index"].null_count:
        faults.append(f"{rows['global_index'].null_count} row(s) have no global_index; run optimize()")
    if registry_table is not None:
        registered = as_registry(registry_table).arrow()
        places = pc.index_in(uids, value_set=registered["uid"].combine_chunks())
        unknown = uids.filter(pc.is_null(places))
        if len(unknown):
            faults.append(f"{len(unknown)} feature uid(s) not found in registry. First 5: {unknown[:5].to_pylist()}")
        expected = registered["global_index"].combine_chunks().take(places)
        other = uids.filter(pc.fill_null(pc.not_equal(rows["global_index"].combine_chunks(), expected), False))
        if len(other):
            faults.append(
                f"{len(other)} row(s) have a global_index other than the registry's. First 5: {other[:5].to_pylist()}"
            )
    return faults


def _dense_width(spec: ZarrGroupSpec, group: Any) -> int | None:
    if spec.pointer_kind.value != "dense":
        return None
    names = [f"{spec.layers.path}/{name}" for name in group.array_names(spec.layers.path)] or ["data"]
    found = group.array(names[0])
    return found[0][1] if found is not None and len(found[0]) > 1 else None
