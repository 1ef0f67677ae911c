"""Which groups of arrays the cells of a table point to: a dataset row whose group is not among them is pending.

Read per fragment and kept: a fragment's files never change, so an atlas that grows reads only what is new, and the
versions of a table, which share most of their fragments, cost about one scan together.
"""

from collections.abc import Callable

import lance
import pyarrow as pa
import pyarrow.compute as pc

from homeobox.catalog.arrow_schema import pointer_fields_of_table

_BATCH_ROWS = 1 << 16


def _pointers(schema: pa.Schema) -> list[str]:
    return [f"{name}.zarr_group" for name in pointer_fields_of_table(schema)]


class CellGroups:
    """Groups that rows point to, by fragment. Guarded by nothing: two threads at worst read a fragment twice.

    Parameters
    ----------
    columns_of
        The columns of a table that name groups; the pointers of a cell table by default.
    """

    def __init__(self, columns_of: Callable[[pa.Schema], list[str]] = _pointers) -> None:
        self._columns_of = columns_of
        self._of_fragment: dict[tuple[str, ...], frozenset[str]] = {}

    def of(self, dataset: lance.LanceDataset) -> frozenset[str]:
        """Groups of one version of a table. Reads the pointers of fragments that it has not seen: 25 ns a cell."""
        columns = self._columns_of(dataset.schema)
        if not columns:
            return frozenset()
        found: set[str] = set()
        for fragment in dataset.get_fragments():
            # With its deletions: whoever deletes rows makes another key.
            key = (*(file.path for file in fragment.metadata.files), fragment.deletion_file() or "")
            groups = self._of_fragment.get(key)
            if groups is None:
                self._of_fragment[key] = groups = _groups(dataset, fragment, columns)
            found |= groups
        return frozenset(found)


def _groups(dataset: lance.LanceDataset, fragment: lance.LanceFragment, columns: list[str]) -> frozenset[str]:
    groups: set[str | None] = set()
    scanner = dataset.scanner(columns=columns, fragments=[fragment], batch_size=_BATCH_ROWS)
    for batch in scanner.to_batches():
        for column in batch.columns:
            groups.update(pc.unique(column).to_pylist())
    # An absent pointer is zero-filled; later writers leave a null.
    return frozenset(group for group in groups if group)
