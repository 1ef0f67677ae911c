"""Completing layouts when features were indexed, and repairing those that have the indices of another feature space.

A layout belongs to the feature space of the datasets that name it. One that no dataset names belongs to an ingest at
work, whose dataset row is about to come, or to one that died.
"""

import logging

import pyarrow as pa
import pyarrow.compute as pc

from homeobox.catalog import sql
from homeobox.catalog.catalog import Catalog
from homeobox.catalog.layouts import contradicts, layout_rows, layout_uid_in_space
from homeobox.catalog.location import registry_table_name
from homeobox.catalog.registry import Registry

_log = logging.getLogger("homeobox")

_BATCH_ROWS = 1 << 18


def complete_layouts(catalog: Catalog) -> int:
    """Copy global indices into the layout rows that have none; one commit per registry. Returns how many rows."""
    waiting = catalog.layouts.table.scan(["layout_uid"], "global_index IS NULL")["layout_uid"].unique().to_pylist()
    if not waiting:
        return 0
    spaces = _spaces_of_layouts(catalog)
    known = catalog.all_registries()
    for layout_uid in waiting:
        if layout_uid not in spaces:
            spaces[layout_uid] = _spaces_that_fit(catalog, layout_uid, known)
    return sum(
        catalog.layouts.sync(registry, [uid for uid in waiting if space in spaces[uid]])
        for space, registry in catalog.registries.items()
    )


def repair_layouts(catalog: Catalog) -> int:
    """Give the right indices to datasets whose layout has others; returns how many layouts had.

    homeobox 0.2.2 shares a layout between feature spaces, which fits the registry of one of them. The datasets of the
    other get a layout that only their feature space has; one that is such already is set right. Snapshots keep the
    versions of the tables that they recorded, so this changes none.

    Reads all layouts once, if the atlas has several registries; with one there is nothing to be mixed up.
    """
    if len(catalog.all_registries()) < 2:
        return 0
    wrong = [
        (registry, layout_uid)
        for space, registry in catalog.registries.items()
        # Of a table that is not the registry of that space by its name, nobody knows whether it is the right one.
        if registry.table.name == registry_table_name(space)
        for layout_uid in _contradicting(catalog, registry)
    ]
    return sum(_repair(catalog, registry, layout_uid) for registry, layout_uid in wrong)


def _spaces_of_layouts(catalog: Catalog) -> dict[str, set[str]]:
    """Layout uid -> feature spaces of the datasets that name it."""
    spaces: dict[str, set[str]] = {}
    rows = catalog.datasets.arrow().select(["layout_uid", "feature_space"])
    for row in rows.to_pylist():
        spaces.setdefault(row["layout_uid"], set()).add(row["feature_space"])
    return spaces


def _spaces_that_fit(catalog: Catalog, layout_uid: str, registries: dict[str, Registry]) -> set[str]:
    """The feature space of a layout that no dataset names, if its features or its uid tell."""
    uids = catalog.layouts.rows(layout_uid, ["feature_uid", "local_index"])["feature_uid"].combine_chunks()
    able = {space for space, registry in registries.items() if registry.has_all(uids)}
    if len(able) < 2:
        return able
    names = uids.to_pylist()
    return {space for space in able if layout_uid_in_space(names, space) == layout_uid}


def _contradicting(catalog: Catalog, registry: Registry) -> list[str]:
    """Layouts of datasets of a registry's space that have an index other than the registry's."""
    named = [uid for uid, spaces in _spaces_of_layouts(catalog).items() if uid and registry.feature_space in spaces]
    if not named:
        return []
    registered = registry.arrow()
    uids, indices = (registered[name].combine_chunks() for name in ("uid", "global_index"))
    found: set[str] = set()
    batches = catalog.layouts.table.dataset.to_batches(
        columns=["layout_uid", "feature_uid", "global_index"],
        filter=sql.is_in("layout_uid", named),
        batch_size=_BATCH_ROWS,
    )
    for batch in batches:
        expected = indices.take(pc.index_in(batch["feature_uid"], value_set=uids))
        other = pc.fill_null(pc.not_equal(batch["global_index"], expected), False)
        found.update(pc.unique(batch["layout_uid"].filter(other)).to_pylist())
    return sorted(found)


def _repair(catalog: Catalog, registry: Registry, layout_uid: str) -> bool:
    # The registry is read after the layout: a restore brings back registries first, so what is seen to differ here
    # does not do so only because the layout is restored already.
    stored = catalog.layouts.rows(layout_uid)
    uids = stored["feature_uid"].combine_chunks()
    if not registry.has_all(uids):
        return False  # validation tells
    own_uid = layout_uid_in_space(uids.to_pylist(), registry.feature_space)
    rows = layout_rows(uids, registry)[1]
    rows = rows.set_column(0, rows.field(0), pa.repeat(pa.scalar(own_uid), rows.num_rows))
    if not contradicts(stored, rows):
        return False
    there = catalog.layouts.rows(own_uid)
    if there.num_rows and contradicts(there, rows):
        catalog.layouts.table.update_matching(
            ["layout_uid", "feature_uid"], rows.select(["layout_uid", "feature_uid", "global_index"])
        )
    else:
        catalog.layouts.add_rows(rows)
    done = "they were set right"
    if layout_uid != own_uid:
        n_datasets = catalog.datasets.replace_layout(registry.feature_space, layout_uid, own_uid)
        done = f"{n_datasets} dataset(s) now have layout '{own_uid}'"
    _log.warning("layout '%s' had other global indices than registry '%s'; %s", layout_uid, registry.table.name, done)
    return True
