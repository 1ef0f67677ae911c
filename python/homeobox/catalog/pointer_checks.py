"""Checks of the cells' pointers against the arrays that they point to."""

import posixpath
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from homeobox import _core
from homeobox.catalog.catalog import Catalog
from homeobox.catalog.groups import StoredGroup
from homeobox.errors import HomeoboxError
from homeobox.schema import PointerField, PointerKind, ZarrGroupSpec, get_spec

_BATCH_ROWS = 1 << 16
_NO_NUMBERS = np.empty(0, dtype=np.int64)


class PointersOfSpace:
    """The pointers of one column of the cell table, by group. Memory: 40 bytes a cell (sparse), 24 (dense)."""

    def __init__(self, catalog: Catalog, field: PointerField) -> None:
        self.field = field
        children = ["start", "end", "zarr_row"] if field.kind is PointerKind.SPARSE else ["position"]
        names = [f"{field.name}.{child}" for child in ("zarr_group", "feature_space", *children)]
        groups, self._spaces = _Codes(), _Codes()
        columns: dict[str, list[np.ndarray]] = {child: [] for child in children}
        for batch in catalog.cells.table.dataset.to_batches(columns=names, batch_size=_BATCH_ROWS):
            groups.add(batch.column(names[0]))
            self._spaces.add(batch.column(names[1]))
            for child, name in zip(children, names[2:], strict=True):
                columns[child].append(pc.fill_null(batch.column(name), -1).to_numpy())
        self._columns = {child: np.concatenate([_NO_NUMBERS, *pieces]) for child, pieces in columns.items()}
        codes = groups.array()
        self._space_codes = self._spaces.array()
        self._order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes, np.arange(len(groups.values) + 1), sorter=self._order)
        self._ranges = {name: (bounds[i], bounds[i + 1]) for i, name in enumerate(groups.values)}
        self._ranges.pop("", None)

    @property
    def groups(self) -> list[str]:
        """Groups that cells point to."""
        return list(self._ranges)

    def n_cells(self, group: str) -> int:
        """How many cells point to a group."""
        begin, end = self._ranges.get(group, (0, 0))
        return int(end - begin)

    def faults(self, catalog: Catalog, group: str) -> Iterator[str]:
        """What is wrong with the pointers to one group."""
        begin, end = self._ranges[group]
        rows = self._order[begin:end]
        spaces = [self._spaces.values[code] for code in np.unique(self._space_codes[rows])]
        if spaces != [self.field.feature_space]:
            yield f"pointers say feature space(s) {spaces}, expected '{self.field.feature_space}'"
        columns = {child: values[rows] for child, values in self._columns.items()}
        stored = StoredGroup(catalog.store, group)
        spec = get_spec(self.field.feature_space)
        n_stored = _length(stored, spec)
        if n_stored is None:
            return  # that there are no arrays is told by the check of the group
        if self.field.kind is PointerKind.DENSE:
            yield from _dense_faults(columns["position"], n_stored)
        else:
            yield from _sparse_faults(columns["start"], columns["end"], columns["zarr_row"], n_stored)
            yield from _indptr_faults(catalog, group, spec, columns)


class _Codes:
    """Texts as numbers, in order of appearance; null is the empty text."""

    def __init__(self) -> None:
        self._code_of: dict[str, int] = {}
        self._pieces: list[np.ndarray] = []

    @property
    def values(self) -> list[str]:
        return list(self._code_of)

    def add(self, texts: pa.Array) -> None:
        encoded = pc.fill_null(texts, "").dictionary_encode()
        known = [self._code_of.setdefault(text, len(self._code_of)) for text in encoded.dictionary.to_pylist()]
        self._pieces.append(np.array(known, dtype=np.int32)[encoded.indices.to_numpy()])

    def array(self) -> np.ndarray:
        return np.concatenate([np.empty(0, dtype=np.int32), *self._pieces])


def _length(stored: StoredGroup, spec: ZarrGroupSpec) -> int | None:
    """Elements of the flat arrays (sparse), or rows (dense)."""
    names = [required.array_name for required in spec.required_arrays]
    if not names:
        names = [f"{spec.layers.path}/{name}" for name in stored.array_names(spec.layers.path)]
    found = stored.array(names[0]) if names else None
    return found[0][0] if found is not None and found[0] else None


def _dense_faults(positions: np.ndarray, n_stored: int) -> Iterator[str]:
    outside = positions[(positions < 0) | (positions >= n_stored)]
    if len(outside):
        yield f"{len(outside)} cell(s) point outside the {n_stored} rows, the first to row {outside[0]}"
    n_repeated = len(positions) - len(np.unique(positions))
    if n_repeated:
        yield f"{n_repeated} cell(s) point to a row that another cell points to"


def _sparse_faults(begins: np.ndarray, ends: np.ndarray, rows: np.ndarray, n_stored: int) -> Iterator[str]:
    wrong = np.flatnonzero((begins < 0) | (ends < begins) | (ends > n_stored))
    if len(wrong):
        first = wrong[0]
        yield (
            f"{len(wrong)} cell(s) point outside the {n_stored} elements, the first to {begins[first]} to {ends[first]}"
        )
    filled = np.flatnonzero(ends > begins)
    order = filled[np.argsort(begins[filled], kind="stable")]
    n_overlapping = (
        int(np.count_nonzero(begins[order[1:]] < np.maximum.accumulate(ends[order])[:-1])) if len(order) else 0
    )
    if n_overlapping:
        yield f"the elements of {n_overlapping} cell(s) overlap those of another cell"
    n_repeated = len(rows) - len(np.unique(rows))
    if n_repeated or (rows < 0).any():
        yield f"{n_repeated} cell(s) repeat a zarr_row, {int((rows < 0).sum())} have a negative one"


def _indptr_faults(catalog: Catalog, group: str, spec: ZarrGroupSpec, columns: dict[str, np.ndarray]) -> Iterator[str]:
    name = posixpath.join(spec.layers.prefix, "indptr")
    if StoredGroup(catalog.store, group).array(name) is None:
        return  # groups of 0.2.2 have none
    try:
        indptr = _core.Group.open(catalog.store, group).open_array(name).read_all()
    except HomeoboxError as error:
        yield f"array '{name}' cannot be read: {error}"
        return
    rows = columns["zarr_row"]
    inside = (rows >= 0) & (rows < len(indptr) - 1)
    if not inside.all():
        yield f"{int((~inside).sum())} cell(s) have a zarr_row outside the {len(indptr) - 1} rows of '{name}'"
    begins, ends, rows = columns["start"][inside], columns["end"][inside], rows[inside]
    n_other = int(np.count_nonzero((indptr[rows] != begins) | (indptr[rows + 1] != ends)))
    if n_other:
        yield f"{n_other} cell(s) point elsewhere than '{name}' says of their rows"
