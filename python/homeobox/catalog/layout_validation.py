"""What can be wrong with one layout."""

from typing import Any

import pyarrow.compute as pc

from homeobox.catalog import sql
from homeobox.catalog.registry import as_registry
from homeobox.catalog.tables import as_table
from homeobox.schema import ZarrGroupSpec


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
