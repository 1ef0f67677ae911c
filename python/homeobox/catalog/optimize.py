"""Optimizing an atlas: compact its tables, index new features, pass the indices on to the layouts.

Compaction here never prunes: a version that a snapshot recorded stays readable for good. (lancedb's own ``optimize()``
removes versions older than a week, recorded or not.) Safe to repeat, and to interrupt between any two commits.

No table gets an index on its uids: a registry or layout is read whole and kept, which takes as long as an indexed
look-up of three uids (7 ms, 33,000 features), and the index would cost 430 KB.
"""

import logging

from homeobox.catalog.catalog import Catalog
from homeobox.catalog.layout_upkeep import complete_layouts, repair_layouts

_log = logging.getLogger("homeobox")


def optimize(catalog: Catalog) -> None:
    """Compact all tables; give global indices to features that have none; complete and repair the layouts."""
    catalog.cells.table.compact()
    catalog.datasets.table.compact()
    _tell(catalog.layouts.remove_duplicates(), catalog.layouts.table.name)
    for registry in catalog.registries.values():
        _tell(registry.remove_duplicates(), registry.table.name)
        registry.reindex()
        registry.table.compact()
    complete_layouts(catalog)
    repair_layouts(catalog)
    catalog.layouts.table.compact()


def _tell(n_removed: int, table_name: str) -> None:
    if n_removed:
        _log.info("removed %d duplicate row(s) of table '%s'", n_removed, table_name)
