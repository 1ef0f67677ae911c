"""What queries on one checked-out atlas share: opened groups and the annotation of registries.

A snapshot never changes, so neither does anything kept here. Opening a group costs requests for metadata, indexes and
the stored feature order; keeping it open makes the next query on it cost none of them.

May be used from several threads: two that miss the same entry both make it, and one copy stays.
"""

from __future__ import annotations

import posixpath
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from homeobox import _core
from homeobox.query.var_frame import VarFrame
from homeobox.schema import ZarrGroupSpec

if TYPE_CHECKING:
    from homeobox.catalog import Catalog

# An opened group keeps its shard indexes and feature order, some 60 KB for a whole transcriptome.
_MAX_OPEN_GROUPS = 2048

Value = TypeVar("Value")


class ReadSession:
    """Shared read state of one `Catalog`. Cheap to make: opens nothing before the first query."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._groups: _Recent[_core.SparseGroup] = _Recent(_MAX_OPEN_GROUPS)
        self._dense_groups: _Recent[_core.Group] = _Recent(_MAX_OPEN_GROUPS)
        self._arrays: _Recent[_core.Array] = _Recent(_MAX_OPEN_GROUPS)
        self._layout_uids: dict[str, str] | None = None
        self._var_frames: _Recent[VarFrame] = _Recent(_MAX_OPEN_GROUPS)

    def sparse_group(self, spec: ZarrGroupSpec, group: str) -> _core.SparseGroup:
        """The opened group; its arrays are opened when they are read."""

        def open_group() -> _core.SparseGroup:
            return _core.SparseGroup(
                self.catalog.store,
                group,
                indices_path=spec.required_arrays[0].array_name,
                feature_order_path=posixpath.join(spec.layers.prefix, "feature_order"),
            )

        return self._groups.get((spec.feature_space, group), open_group)

    def dense_layer(self, spec: ZarrGroupSpec, group: str, layer: str) -> _core.Array:
        """One layer's array of a dense group, opened; NotFoundError if the group lacks it."""

        def open_group() -> _core.Group:
            return _core.Group.open(self.catalog.store, group)

        def open_layer() -> _core.Array:
            return self._dense_groups.get((group,), open_group).open_array(f"{spec.layers.path}/{layer}")

        return self._arrays.get((spec.feature_space, group, layer), open_layer)

    def layout_uids(self) -> dict[str, str]:
        """Layout of each group; empty where a group has none."""
        if self._layout_uids is None:
            rows = self.catalog.datasets.arrow()
            groups, layouts = rows["zarr_group"].to_pylist(), rows["layout_uid"].to_pylist()
            self._layout_uids = dict(zip(groups, layouts, strict=True))
        return self._layout_uids

    def var_frame(self, feature_space: str) -> VarFrame:
        """Annotation of the registry's features."""
        return self._var_frames.get((feature_space,), lambda: VarFrame(self.catalog.registry(feature_space).arrow()))


class _Recent(Generic[Value]):
    """The most recently used values by key. The lock is not held while a value is made, since that may do I/O."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._values: OrderedDict[tuple[str, ...], Value] = OrderedDict()

    def get(self, key: tuple[str, ...], make: Callable[[], Value]) -> Value:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        made = make()
        with self._lock:
            value = self._values.setdefault(key, made)
            if len(self._values) > self._capacity:
                self._values.popitem(last=False)
        return value
