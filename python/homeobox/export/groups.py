"""One group of arrays written anew in another atlas, in the codec that is asked for.

All arrays are copied, those that this package does not know too. Only the row-major arrays of a sparse matrix need
more than copying: `codec="bitpacking"` takes the stored order of features back, since 0.2.2 does not know it, and
`codec="bp128"` gives one to groups that have none.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from homeobox import _core
from homeobox.errors import CorruptDataError
from homeobox.export.arrays import BLOCK_ELEMENTS, WrittenObject, copy_array, exported_dtype, open_writer
from homeobox.ingest.encoding import Codec
from homeobox.schema import PointerKind, ZarrGroupSpec

GROUP_ATTRIBUTES = json.dumps({"homeobox": {"format": 1}})


@dataclass(frozen=True)
class GroupCopy:
    """A group that is to be copied.

    Attributes
    ----------
    n_features
        Of its layout; 0 without one.
    row_bounds
        Asked only for a sparse matrix that does not store them: where the rows begin and the last one ends, int64
        [n_rows + 1]; None if the rows do not follow one another.
    """

    source: _core.Store
    target: _core.Store
    group: str
    spec: ZarrGroupSpec
    n_features: int
    codec: Codec
    row_bounds: Callable[[], np.ndarray | None]

    def run(self) -> None:
        """Copy it: groups, arrays, and the manifest at last."""
        groups, arrays = stored_nodes(self.source, self.group)
        above = self.group.split("/")[:-1]
        for depth in range(len(above)):
            _core.write_group(self.target, "/".join(above[: depth + 1]))
        objects = [_core.write_group(self.target, self.group, GROUP_ATTRIBUTES)]
        objects += [_core.write_group(self.target, f"{self.group}/{path}") for path in groups if path]
        opened = _core.Group.open(self.source, self.group)
        done: set[str] = set()
        if self.spec.is_matrix and self.spec.pointer_kind is PointerKind.SPARSE:
            matrix = SparseArrays(self, opened, arrays)
            objects += matrix.copy()
            done = matrix.paths
        # The bounds of a feature-major copy say that the rest of it is there.
        for path in sorted(set(arrays) - done, key=lambda path: (path == "csc/indptr", path)):
            objects += copy_array(opened.open_array(path), self.target, self.group, path, self.codec)
        _core.write_manifest(self.target, self.group, objects)


class SparseArrays:
    """The row-major arrays of a sparse matrix: indices, layers, row bounds, stored order of features."""

    def __init__(self, copy: GroupCopy, opened: _core.Group, arrays: list[str]) -> None:
        spec = copy.spec
        self._copy = copy
        self._indices_path = spec.required_arrays[0].array_name
        self._layer_paths = [path for path in arrays if posixpath.dirname(path) == spec.layers.path]
        self._bounds_path = posixpath.join(spec.layers.prefix, "indptr")
        self._order_path = posixpath.join(spec.layers.prefix, "feature_order")
        self.paths = {self._indices_path, self._bounds_path, self._order_path, *self._layer_paths}
        self._indices = opened.open_array(self._indices_path)
        self._layers = {path: opened.open_array(path) for path in self._layer_paths}
        stored = set(arrays)
        self._bounds = opened.open_array(self._bounds_path).read_all() if self._bounds_path in stored else None
        if self._bounds is None:
            bounds = copy.row_bounds()
            if bounds is not None and int(bounds[-1]) == self._indices.shape[0]:
                self._bounds = bounds
        self._order = opened.open_array(self._order_path).read_all() if self._order_path in stored else None
        self._check()

    def _check(self) -> None:
        n_entries, group = self._indices.shape[0], self._copy.group
        for path, layer in self._layers.items():
            if layer.shape != (n_entries,):
                raise CorruptDataError(
                    f"zarr group '{group}': '{path}' has shape {layer.shape}, expected ({n_entries},) as indices"
                )
        if self._bounds is not None and int(self._bounds[-1]) != n_entries:
            raise CorruptDataError(
                f"zarr group '{group}': the rows end at entry {int(self._bounds[-1])}, but it has {n_entries} entries"
            )
        if self._order is not None and self._bounds is None:
            raise CorruptDataError(f"zarr group '{group}' has '{self._order_path}' but no '{self._bounds_path}'")

    def copy(self) -> list[WrittenObject]:
        """Write them anew; returns the objects."""
        copy, n_entries = self._copy, self._indices.shape[0]
        written_order, moved = self._written_order()
        dtypes = {path: exported_dtype(np.dtype(a.dtype), copy.codec) for path, a in self._layers.items()}
        indices = self._writer(self._indices_path, (n_entries,), np.dtype(np.uint32))
        layers = [self._writer(path, (n_entries,), dtype) for path, dtype in dtypes.items()]
        for bounds, begin, end in self._blocks():
            block = self._indices.read([begin], [end]).astype(np.uint32, copy=False)
            values = [
                layer.read([begin], [end]).astype(dtypes[path], copy=False) for path, layer in self._layers.items()
            ]
            if bounds is not None:
                block, values = _core.reorder_csr(bounds, block, values, copy.n_features, moved)
            indices.append(block)
            for writer, part in zip(layers, values, strict=True):
                writer.append(part)
        objects = list(indices.finish())
        for writer in layers:
            objects += writer.finish()
        if self._bounds is not None:
            objects += self._write_whole(self._bounds_path, self._bounds.astype(np.int64, copy=False))
        if written_order is not None:
            objects += self._write_whole(self._order_path, written_order)
        return objects

    def _written_order(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The stored order of the copy, and the order that takes the present indices there (None: they stay)."""
        if self._copy.codec == "bitpacking":
            if self._order is None:
                return None, None
            # Entry e is feature order[e]; an order under which feature f is stored as f undoes that.
            back = np.empty(len(self._order), dtype=np.uint32)
            back[self._order] = np.arange(len(back), dtype=np.uint32)
            return None, back
        if self._order is not None:
            return self._order, None
        if self._bounds is None:
            return None, None
        by_total = np.asarray(_core.feature_order(self._totals()))
        return by_total, by_total

    def _totals(self) -> np.ndarray:
        totals = np.zeros(self._copy.n_features, dtype=np.float64)
        required = [path for path in self._layer_paths if posixpath.basename(path) in self._copy.spec.layers.required]
        layer = self._layers[(required or self._layer_paths)[0]]
        for begin in range(0, self._indices.shape[0], BLOCK_ELEMENTS):
            end = min(begin + BLOCK_ELEMENTS, self._indices.shape[0])
            weights = np.nan_to_num(layer.read([begin], [end]).astype(np.float64))
            totals += np.bincount(self._indices.read([begin], [end]), weights=weights, minlength=len(totals))
        return totals

    def _blocks(self) -> Iterator[tuple[np.ndarray | None, int, int]]:
        """Bounds of whole rows relative to the block, and the elements of the block."""
        n_entries = self._indices.shape[0]
        if self._bounds is None:
            for begin in range(0, n_entries, BLOCK_ELEMENTS):
                yield None, begin, min(begin + BLOCK_ELEMENTS, n_entries)
            return
        row, n_rows = 0, len(self._bounds) - 1
        while row < n_rows:
            target = int(self._bounds[row]) + BLOCK_ELEMENTS
            end_row = max(int(np.searchsorted(self._bounds, target, side="right")) - 1, row + 1)
            end_row = min(end_row, n_rows)
            begin, end = int(self._bounds[row]), int(self._bounds[end_row])
            if end > begin:
                yield (self._bounds[row : end_row + 1] - begin).astype(np.int64, copy=False), begin, end
            row = end_row

    def _writer(self, path: str, shape: tuple[int, ...], dtype: np.dtype) -> _core.ArrayWriter:
        return open_writer(self._copy.target, self._copy.group, path, shape, dtype, self._copy.codec)

    def _write_whole(self, path: str, values: np.ndarray) -> list[WrittenObject]:
        writer = self._writer(path, values.shape, values.dtype)
        writer.append(values)
        return list(writer.finish())


def stored_nodes(store: _core.Store, group: str) -> tuple[list[str], list[str]]:
    """Paths of the groups and of the arrays inside a group, relative to it; the group itself is "".

    A feature-major copy whose bounds are missing is not finished, and left out.
    """
    groups: list[str] = []
    arrays: list[str] = []
    for key, _ in store.list(f"{group}/"):
        if not key.endswith("/zarr.json"):
            continue
        path = key[len(group) + 1 : -len("zarr.json")].rstrip("/")
        document = store.read(key)
        kind = None if document is None else json.loads(document).get("node_type")
        (groups if kind == "group" else arrays).append(path)
    if "csc/indptr" not in arrays:
        groups = [path for path in groups if not f"{path}/".startswith("csc/")]
        arrays = [path for path in arrays if not path.startswith("csc/")]
    return sorted(groups), sorted(arrays)
