"""Validation: everything that can be wrong between the tables and the groups, told at once.

Metadata only, unless asked to go deep. Every check reports and none raises, so that one fault does not hide another.
Pending datasets are none of its business: nothing points to them.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow.compute as pc

from homeobox.catalog.catalog import Catalog
from homeobox.catalog.deep_validation import validate_deeply
from homeobox.catalog.fault_list import faults_of_check
from homeobox.catalog.groups import StoredGroup
from homeobox.catalog.layout_validation import validate_feature_layout
from homeobox.catalog.registry import Registry
from homeobox.schema import get_spec


def validate(
    catalog: Catalog,
    *,
    check_zarr: bool = True,
    check_var_dfs: bool = True,
    check_registries: bool = True,
    deep: bool = False,
) -> list[str]:
    """Check an atlas.

    Parameters
    ----------
    catalog : Catalog
        The atlas.
    check_zarr : bool
        Each group of the dataset table against its feature space.
    check_var_dfs : bool
        Each layout that a dataset names.
    check_registries : bool
        Global indices of each registry.
    deep : bool
        Also each cell's pointer, the number of cells, each array against its checksums, and the files of the recorded
        table versions against their digests. Reads everything once.

    Returns
    -------
    list of str
        One message per fault; empty when all is well.
    """
    faults: list[str] = []
    for name in catalog.pointer_fields:
        faults += faults_of_check(f"pointer '{name}'", partial(_pointer, catalog, name))
    if check_registries:
        for space, registry in catalog.registries.items():
            faults += faults_of_check(f"Registry '{space}'", partial(_registry, registry))
    datasets: list[dict[str, Any]] = []
    faults += faults_of_check("datasets", partial(_read_datasets, catalog, datasets))
    if check_registries:
        for space in dict.fromkeys(row["feature_space"] for row in datasets if row["layout_uid"]):
            if space not in catalog.registries:
                faults.append(f"Registry '{space}': there is none, but datasets have features of it")
    if check_zarr:
        for path, space in dict.fromkeys((row["zarr_group"], row["feature_space"]) for row in datasets):
            faults += faults_of_check(f"zarr group '{path}'", partial(_group, catalog, path, space))
    if check_var_dfs:
        # Datasets with one layout share one check; a dense group also says how many features it has.
        layouts = {(row["layout_uid"], row["feature_space"]): row["zarr_group"] for row in datasets}
        for (layout_uid, space), path in layouts.items():
            if layout_uid:
                where = f"_feature_layouts '{layout_uid}'"
                faults += faults_of_check(where, partial(_layout, catalog, layout_uid, space, path))
    return faults + (validate_deeply(catalog, datasets) if deep else [])


def _read_datasets(catalog: Catalog, datasets: list[dict[str, Any]]) -> list[str]:
    """Fills in the rows that have cells; tables that cannot be read are a fault, and so is a row that is missing."""
    columns = ["zarr_group", "feature_space", "layout_uid", "n_cells"]
    datasets += catalog.committed_datasets().select(columns).to_pylist()
    unknown = sorted(catalog.groups_with_cells() - {row["zarr_group"] for row in datasets})
    return (
        [f"cells point to {len(unknown)} zarr group(s) without a dataset row. First 5: {unknown[:5]}"]
        if unknown
        else []
    )


def _pointer(catalog: Catalog, name: str) -> Iterator[str]:
    field = catalog.pointer_fields[name]
    expected = get_spec(field.feature_space).pointer_kind
    if field.kind is not expected:
        yield f"is a {field.kind.value} pointer, but its feature space needs a {expected.value} one"


def _registry(registry: Registry) -> Iterator[str]:
    rows = registry.arrow()
    n_missing = rows["global_index"].null_count
    if n_missing:
        yield f"{n_missing} row(s) have no global_index; run optimize()"
    n_repeated = rows.num_rows - pc.count_distinct(rows["uid"]).as_py()
    if n_repeated:
        yield f"{n_repeated} row(s) repeat a uid; run optimize()"
    indices = rows["global_index"].drop_null().to_numpy()
    if not np.array_equal(indices, np.arange(len(indices))):
        yield f"global indices are not 0 to {len(indices) - 1} without gaps and repeats"


def _group(catalog: Catalog, path: str, feature_space: str) -> Iterator[str]:
    group = StoredGroup(catalog.store, path)
    if not group.exists():
        yield f"no group is stored there (dataset of feature space '{feature_space}')"
        return
    yield from get_spec(feature_space).validate_group(group)


def _layout(catalog: Catalog, layout_uid: str, feature_space: str, path: str) -> list[str]:
    if not catalog.layouts.exists(layout_uid):
        return [f"no such layout is stored (dataset of zarr group '{path}')"]
    return validate_feature_layout(
        catalog.layouts.table,
        layout_uid,
        spec=get_spec(feature_space),
        group=StoredGroup(catalog.store, path),
        registry_table=catalog.registries.get(feature_space),
    )
