"""Validation that reads everything: each cell's pointer, each array, each file of each recorded table version.

Every check reports and none raises. Takes as long as reading the atlas once.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from homeobox.catalog import table_files
from homeobox.catalog.array_checks import check_contents, check_objects
from homeobox.catalog.catalog import Catalog
from homeobox.catalog.fault_list import faults_of_check
from homeobox.catalog.pointer_checks import PointersOfSpace
from homeobox.catalog.progress import step_progress
from homeobox.schema import AtlasVersionRecord, PointerField, PointerKind, ZarrGroupSpec, get_spec


def validate_deeply(catalog: Catalog, datasets: list[dict[str, Any]]) -> list[str]:
    """What is wrong between cells and arrays, inside the arrays, and in the files of recorded table versions.

    Parameters
    ----------
    datasets
        Rows of the dataset table that have cells.
    """
    faults: list[str] = []
    rows = {row["zarr_group"]: row for row in datasets}
    for field in catalog.pointer_fields.values():
        faults += faults_of_check(f"pointer '{field.name}'", partial(_pointers, catalog, field, rows))
    snapshots = _snapshots(catalog)
    with step_progress("validate", len(rows) + len(snapshots)) as advance:
        for group, row in rows.items():
            faults += faults_of_check(f"zarr group '{group}'", partial(check_objects, catalog.store, group))
            faults += faults_of_check(f"zarr group '{group}'", partial(_contents, catalog, row))
            advance(1)
        # Snapshots share most of their files, and each is read once.
        sound: set[str] = set()
        for record in snapshots:
            faults += faults_of_check(f"snapshot {record.version}", partial(_recorded_files, catalog, record, sound))
            advance(1)
    return faults


def _pointers(catalog: Catalog, field: PointerField, datasets: dict[str, dict[str, Any]]) -> Iterator[str]:
    pointers = PointersOfSpace(catalog, field)
    for group in pointers.groups:
        row = datasets.get(group)
        if row is None or row["feature_space"] != field.feature_space:
            yield f"{pointers.n_cells(group)} cell(s) point to zarr group '{group}', which no dataset of the space has"
        elif row["n_cells"] != pointers.n_cells(group):
            yield (
                f"{pointers.n_cells(group)} cell(s) point to zarr group '{group}', "
                f"its dataset row says {row['n_cells']}"
            )
        yield from faults_of_check(f"zarr group '{group}'", partial(pointers.faults, catalog, group))


def _contents(catalog: Catalog, row: dict[str, Any]) -> Iterator[str]:
    spec = get_spec(row["feature_space"])
    bounds: dict[str, int] = {}
    if row["layout_uid"] and spec.has_var_df and spec.pointer_kind is PointerKind.SPARSE:
        bounds[spec.required_arrays[0].array_name] = len(catalog.layouts.read(row["layout_uid"])[0])
    return check_contents(catalog.store, row["zarr_group"], {**bounds, **_row_bounds(spec, row)})


def _row_bounds(spec: ZarrGroupSpec, row: dict[str, Any]) -> dict[str, int]:
    """The feature-major copy holds rows."""
    return {"csc/indices": row["n_cells"]} if spec.is_matrix and spec.pointer_kind is PointerKind.SPARSE else {}


def _snapshots(catalog: Catalog) -> list[AtlasVersionRecord]:
    records = catalog.versions.records()
    return [record for record in records if catalog.version in (None, record.version)]


def _recorded_files(catalog: Catalog, record: AtlasVersionRecord, sound: set[str]) -> Iterator[str]:
    recorded = catalog.versions.notes.files(record.created_at)
    unknown = {path: digest for path, digest in recorded.items() if path not in sound}
    faults = dict(table_files.faults_of(catalog.location, unknown))
    sound.update(path for path in unknown if path not in faults)
    yield from faults.values()
