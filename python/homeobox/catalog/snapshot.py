"""Snapshots: pin what is there now, check it, record it; and which of them still need a group of arrays."""

import contextlib
import dataclasses
import json
import random
import time
from collections.abc import Callable

from homeobox.catalog import sql
from homeobox.catalog.arrow_schema import pointer_fields_of_table
from homeobox.catalog.catalog import Catalog
from homeobox.catalog.cells import CellTable
from homeobox.catalog.datasets import DatasetTable
from homeobox.catalog.layouts import LayoutTable
from homeobox.catalog.registry import Registry
from homeobox.catalog.table_files import FileDigests, digests_of
from homeobox.catalog.table_versions import widest_versions
from homeobox.catalog.tables import Table, TableNotFoundError
from homeobox.catalog.validation import validate
from homeobox.errors import ConflictError, InvalidArgumentError
from homeobox.schema import AtlasVersionRecord

_TRIES = 8


class ValidationFailedError(InvalidArgumentError):
    """An atlas has faults, so no snapshot was taken. ``faults`` lists them."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("Atlas validation failed:\n" + "\n".join(f"- {fault}" for fault in faults))
        self.faults = faults


def take_snapshot(
    catalog: Catalog,
    name: str | None = None,
    recording: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
) -> int:
    """Record the present version of every table as the next snapshot.

    Parameters
    ----------
    catalog : Catalog
        A writable one.
    name : str, optional
        What the snapshot may be checked out by; no other has it.
    recording : callable, optional
        Makes a context within which nobody removes table versions or other snapshots; entered once for each try.

    Returns
    -------
    int
        Number of the snapshot: 0, 1, ...

    Raises
    ------
    ValidationFailedError
        The atlas has faults; lists all of them. Nothing was recorded.
    SnapshotNameTakenError
        Another snapshot has the name. Nothing was recorded.
    InvalidArgumentError
        The catalog is read-only, or the name reads as a number or a time.
    ConflictError
        Datasets were deleted or restored during each of several tries. Nothing was recorded.
    """
    if catalog.read_only:
        raise InvalidArgumentError("cannot take a snapshot of an atlas that is checked out and read-only")
    if name is not None:
        catalog.versions.check_name(name)
    for tries in range(_TRIES):
        # What is checked is exactly what is recorded, whatever other processes commit meanwhile.
        pinned = _pinned_at_latest(catalog)
        faults = validate(pinned)
        if not faults:
            files = _digests(catalog, pinned)
            with recording():
                # Looked at before, so that hardly any is taken back, and once more after: from then on it is seen.
                if not _is_lost(catalog, pinned):
                    record = _record(catalog, pinned, name, files)
                    if not _is_lost(catalog, pinned):
                        return record.version
                    catalog.versions.remove([record])
        elif tries == _TRIES - 1 or not _has_moved(catalog, pinned):
            raise ValidationFailedError(faults)
        # Else tables may have been pinned from two sides of a deletion, each of which is healthy.
        time.sleep(random.random() * 0.02 * 2**tries)
    raise ConflictError(
        f"datasets of {catalog.location} were deleted or restored during each of {_TRIES} tries to take a snapshot; "
        "nothing was recorded, try later"
    )


def _digests(catalog: Catalog, pinned: Catalog) -> FileDigests:
    known = catalog.versions.notes.newest_files()
    files: FileDigests = {}
    for table in pinned.tables:
        files |= digests_of(catalog.location, table, known)
    return files


def _record(catalog: Catalog, pinned: Catalog, name: str | None, files: FileDigests) -> AtlasVersionRecord:
    record = AtlasVersionRecord(
        version=0,
        cell_table_name=pinned.cells.table.name,
        cell_table_version=pinned.cells.table.version,
        dataset_table_name=pinned.datasets.table.name,
        dataset_table_version=pinned.datasets.table.version,
        registry_table_names=json.dumps({s: r.table.name for s, r in pinned.registries.items()}),
        registry_table_versions=json.dumps({s: r.table.version for s, r in pinned.registries.items()}),
        feature_layouts_table_version=pinned.layouts.table.version,
        total_cells=pinned.count_cells(),
        zarr_store_uri=catalog.store_uri,
    )
    record.created_at = catalog.versions.notes.add(record.created_at, name, files)
    return catalog.versions.add(record, name)


def _is_lost(catalog: Catalog, pinned: Catalog) -> bool:
    return _lost_cells_since(catalog, pinned) or _lost_versions(pinned)


def _lost_cells_since(catalog: Catalog, pinned: Catalog) -> bool:
    """Whether a group that the pinned cells point to was without cells at any moment since.

    Then an ingest of its name may have found that neither cells nor a snapshot need the arrays, and have begun to
    replace them. Whoever asks from now on finds the snapshot.
    """
    table = catalog.cells.table
    then = pinned.groups_with_cells()
    latest = table.dataset.version
    for version in range(pinned.cells.table.version + 1, latest + 1):
        try:
            now = catalog.cell_groups.of(table.at(version).dataset)
        except (ValueError, OSError, RuntimeError):
            return True  # it is gone already, or cannot be read, so what it had is not known
        if not then <= now:
            return True
    return False


def _lost_versions(pinned: Catalog) -> bool:
    """Whether a prune removed what is recorded: it took so long that nobody was thought to record it."""
    try:
        for table in pinned.tables:
            Table.open(pinned.location, table.name, table.version)
    except TableNotFoundError:
        return True
    return False


def _has_moved(catalog: Catalog, pinned: Catalog) -> bool:
    """Whether any table was changed since it was pinned."""
    return any(t.dataset.version != p.version for t, p in zip(catalog.tables, pinned.tables, strict=True))


def snapshots_with_group(catalog: Catalog, group: str) -> list[int]:
    """Numbers of the snapshots in which cells point to a group of arrays, ascending.

    One small read of each recorded version of the dataset table, and of the cell table where a dataset has the group.
    """
    return [record.version for record in catalog.versions.records() if _records_group(catalog, record, group)]


def groups_of_snapshots(catalog: Catalog) -> frozenset[str]:
    """Groups that cells of any snapshot point to. Reads the pointers of cells that it has not seen yet."""
    groups: frozenset[str] = frozenset()
    recorded: dict[str, set[int]] = {}
    for record in catalog.versions.records():
        recorded.setdefault(record.cell_table_name, set()).add(record.cell_table_version)
    for name, versions in recorded.items():
        with contextlib.suppress(TableNotFoundError):  # then nobody can open those snapshots any more
            for version in widest_versions(Table.open(catalog.location, name), versions):
                with contextlib.suppress(TableNotFoundError):
                    groups |= catalog.cell_groups.of(Table.open(catalog.location, name, version).dataset)
    return groups


def _records_group(catalog: Catalog, record: AtlasVersionRecord, group: str) -> bool:
    try:
        datasets = Table.open(catalog.location, record.dataset_table_name, record.dataset_table_version)
        if not datasets.count(sql.equals("zarr_group", group)):
            return False
        cells = Table.open(catalog.location, record.cell_table_name, record.cell_table_version)
    except TableNotFoundError:
        return False  # nobody can open that snapshot any more
    pointers = pointer_fields_of_table(cells.schema)
    conditions = [f"{sql.quote_column(name)}.zarr_group = {sql.quote(group)}" for name in pointers]
    return bool(conditions) and cells.count(" OR ".join(conditions)) > 0


def _pinned_at_latest(catalog: Catalog) -> Catalog:
    def pin(table: Table) -> Table:
        return Table.open(catalog.location, table.name, table.version)

    # A writer commits registries, layouts, the dataset row, then cells. Reading the other way round, each cell
    # seen here has its dataset, each dataset its layout, each layout its features.
    cells = CellTable(pin(catalog.cells.table), catalog.cell_schema)
    datasets = DatasetTable(pin(catalog.datasets.table))
    layouts = LayoutTable(pin(catalog.layouts.table))
    registries = {space: Registry(space, pin(r.table)) for space, r in catalog.registries.items()}
    return dataclasses.replace(catalog, cells=cells, datasets=datasets, layouts=layouts, registries=registries)
