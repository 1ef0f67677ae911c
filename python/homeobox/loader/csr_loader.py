"""CSR batches of the cells of a query, in a new random order each epoch."""

from __future__ import annotations

import operator
from collections.abc import Iterator

import numpy as np

from homeobox import _core
from homeobox.errors import InvalidArgumentError, UnsupportedError
from homeobox.loader.batch import SparseBatch
from homeobox.loader.cell_columns import CellColumns
from homeobox.query import QueryRequest, ReadSession
from homeobox.query.cells import obs_columns, scan_pointers
from homeobox.query.modality import plan_modality
from homeobox.schema import PointerKind
from homeobox.schema.byte_sizes import parse_bytes

_MAX_ROW = np.iinfo(np.uint32).max


class CsrLoader:
    """Iterates over batches of random cells; made by `AtlasQuery.to_loader`.

    Each ``for`` over the loader is one epoch: every selected cell that has the modality, once. Epochs count up from 0
    and each has its own order, fixed by `seed`. Batches are decoded ahead on the threads of this process, within
    `memory`; the consumer waits without the GIL and Ctrl-C stops it.

    Stage: experimental.

    Notes
    -----
    Pointers and order take 20 bytes per cell, and each selected column what it holds; no table is read after the loader
    was made.
    """

    def __init__(
        self, core: _core.BatchLoader, n_features: int, batch_size: int, columns: CellColumns | None = None
    ) -> None:
        self._core = core
        self._columns = columns
        self._epoch = 0
        self._iteration = 0
        self.n_features = n_features
        self.batch_size = batch_size

    @property
    def n_cells(self) -> int:
        """Cells of one epoch."""
        return self._core.n_cells

    @property
    def epoch(self) -> int:
        """Number of the epoch that the next ``for`` runs."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Make the next ``for`` run this epoch, for instance after a restart of the training.

        Raises
        ------
        InvalidArgumentError
            Negative or not a whole number.
        """
        self._epoch = _whole("epoch", epoch, 0)

    def __len__(self) -> int:
        """Number of batches of one epoch."""
        return self._core.n_batches

    def __iter__(self) -> Iterator[SparseBatch]:
        epoch = self._epoch
        self._epoch += 1
        self._iteration += 1
        self._core.restart(epoch)
        return self._batches(self._iteration)

    def _batches(self, iteration: int) -> Iterator[SparseBatch]:
        # Of two iterators over one loader the older would otherwise take batches from the newer.
        while iteration == self._iteration:
            batch = self._core.next()
            if batch is None:
                return
            cells, offsets, indices, values = batch
            metadata = None if self._columns is None else self._columns.take(cells)
            yield SparseBatch(indices, values, offsets, self.n_features, cells, metadata)
        raise InvalidArgumentError("this loader was iterated anew; an earlier iterator over it cannot go on")

    def __repr__(self) -> str:
        return (
            f"CsrLoader({self.n_cells} cells x {self.n_features} features, {len(self)} batches of {self.batch_size}, "
            f"epoch {self._epoch} next)"
        )


def make_csr_loader(
    session: ReadSession,
    request: QueryRequest,
    *,
    feature_space: str,
    layer: str,
    batch_size: int,
    shuffle: bool,
    seed: int,
    drop_last: bool,
    memory: int | str,
) -> CsrLoader:
    """See `AtlasQuery.to_loader`."""
    batch_size = _whole("batch_size", batch_size, 1)
    seed = _whole("seed", seed, 0)
    memory_bytes = parse_bytes(memory)
    field = session.catalog.pointer_fields.get(feature_space)
    if field is None:
        raise InvalidArgumentError(
            f"Unknown feature space(s) ['{feature_space}']; the cell table has {list(session.catalog.pointer_fields)}"
        )
    if field.kind is not PointerKind.SPARSE:
        raise UnsupportedError(f"to_loader reads sparse feature spaces; '{feature_space}' is dense")
    if feature_space in request.features:
        raise UnsupportedError("to_loader reads all features; a query with features([...]) goes to to_anndata")
    if request.feature_join != "union":
        raise UnsupportedError(
            f"to_loader reads all features; feature_join('{request.feature_join}') is for to_anndata"
        )
    if request.feature_spaces is not None and feature_space not in request.feature_spaces:
        raise InvalidArgumentError(
            f"to_loader is to read '{feature_space}', but feature_spaces reads only {list(request.feature_spaces)}"
        )
    selected = [] if request.columns is None else obs_columns(session.catalog, request)
    pointers, table = scan_pointers(session.catalog, request, field, selected)
    columns = None if request.columns is None else CellColumns(table, pointers.present)
    pointers = pointers.take_present()
    plan = plan_modality(session, request, pointers)
    layouts = [session.catalog.layouts.read(uid)[1] for uid in plan.features.layouts]
    to_global = [layouts[layout] for layout in plan.layout_of_group]
    n_features = session.catalog.registry(feature_space).n_features
    path = f"{plan.spec.layers.path}/{layer}"
    groups = [session.sparse_group(plan.spec, group) for group in pointers.groups]
    dtype = np.result_type(*(np.dtype(group.layer_dtype(path)) for group in groups)) if groups else np.dtype("f4")
    lengths = pointers.ends - pointers.begins
    if len(lengths) and (lengths.min() < 0 or lengths.max() > _MAX_ROW):
        raise InvalidArgumentError(f"a cell of {lengths.min()} to {lengths.max()} entries; at most {_MAX_ROW} fit")
    core = _core.BatchLoader(
        groups,
        to_global,
        path,
        pointers.group_of_cell,
        pointers.begins,
        lengths.astype(np.uint32),
        n_features,
        dtype.name,
        batch_size=batch_size,
        shuffle=bool(shuffle),
        seed=seed,
        drop_last=bool(drop_last),
        memory_bytes=memory_bytes,
    )
    return CsrLoader(core, n_features, batch_size, columns)


def _whole(name: str, value: int, least: int) -> int:
    try:
        whole = operator.index(value)
    except TypeError:
        raise InvalidArgumentError(f"{name}: a whole number expected, found {value!r}") from None
    if whole < least:
        raise InvalidArgumentError(f"{name}: {least} or more expected, found {whole}")
    return whole
