"""One modality of selected cells: plans which groups, layouts and ranges to read, and reads the matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from homeobox import _core
from homeobox.errors import CorruptDataError, InvalidArgumentError, UnsupportedError
from homeobox.query import half_precision
from homeobox.query.feature_space import JoinedFeatures, join_features
from homeobox.query.pointers import PointerColumns
from homeobox.query.request import QueryRequest
from homeobox.query.session import ReadSession
from homeobox.schema import PointerField, PointerKind, ZarrGroupSpec, get_spec

if TYPE_CHECKING:
    import scipy.sparse

# Beyond this many stored entries SciPy needs 64-bit row boundaries, and then 64-bit columns as well.
_INT32_MAX = np.iinfo(np.int32).max


@dataclass(frozen=True)
class ModalityPlan:
    """What to read for cells that all have the modality; made from tables alone, before any array is opened.

    Attributes
    ----------
    pointers
        Of the cells, in the order of the result's rows.
    layers
        Names of the layers to read; the first becomes `X`.
    features
        Columns of the result.
    layout_of_group
        int32 per group of `pointers`: index into `features.layouts`.
    """

    spec: ZarrGroupSpec
    pointers: PointerColumns
    layers: list[str]
    features: JoinedFeatures
    layout_of_group: np.ndarray

    @property
    def layout_of_cell(self) -> np.ndarray:
        return self.layout_of_group[self.pointers.group_of_cell]

    @property
    def remaps(self) -> list[np.ndarray]:
        """Per group: local feature to joined column."""
        return [self.features.remaps[layout] for layout in self.layout_of_group]


def active_fields(session: ReadSession, request: QueryRequest) -> list[PointerField]:
    """Pointer fields that the query may read, in schema order.

    Naming features or layers of a space asks for that space; naming spaces asks for just those.

    Raises
    ------
    InvalidArgumentError
        Features or layers were named of a space that is not to be read.
    """
    fields = session.catalog.pointer_fields.values()
    wanted = request.feature_spaces
    named = [*request.features, *request.layers]
    if wanted is None:
        wanted = tuple(named) or None
    unread = [space for space in named if wanted is not None and space not in wanted]
    if unread:
        raise InvalidArgumentError(
            f"features or layers of {unread} were asked for, but feature_spaces reads only {list(wanted or ())}"
        )
    return [field for field in fields if wanted is None or field.feature_space in wanted]


def plan_modality(session: ReadSession, request: QueryRequest, pointers: PointerColumns) -> ModalityPlan:
    """Decide everything about one modality of cells that all have it.

    Raises
    ------
    InvalidArgumentError
        No layer to read, a feature that is not registered or has no global index.
    CorruptDataError
        Cells point to a group that no dataset describes.
    """
    space = pointers.field.feature_space
    spec = get_spec(space)
    if not spec.is_matrix:
        raise UnsupportedError(f"feature space '{space}' is not a cells x features matrix; it has no AnnData form")
    layers = request.layers.get(space) or spec.layers.required
    if not layers:
        raise InvalidArgumentError(
            f"No layers specified for feature space '{space}', which requires none; name them with "
            f".layers('{space}', [...])"
        )
    layout_of_group = _group_layouts(session, pointers)
    distinct = list(dict.fromkeys(layout_of_group))
    wanted = None
    if space in request.features:
        wanted = session.catalog.registry(space).resolve(request.features[space])
    layouts = {uid: session.catalog.layouts.read(uid)[1] for uid in distinct}
    number = {uid: i for i, uid in enumerate(distinct)}
    return ModalityPlan(
        spec,
        pointers,
        list(layers),
        join_features(layouts, request.feature_join, wanted),
        np.array([number[uid] for uid in layout_of_group], dtype=np.int32),
    )


def _group_layouts(session: ReadSession, pointers: PointerColumns) -> list[str]:
    layout_uids = session.layout_uids()
    layouts = []
    for group in pointers.groups:
        layout_uid = layout_uids.get(group)
        if not layout_uid:
            raise CorruptDataError(
                f"cells point to zarr group '{group}' in '{pointers.field.name}', but "
                + ("no dataset row names it" if layout_uid is None else "its dataset row has no feature layout")
            )
        layouts.append(layout_uid)
    return layouts


def read_layer(session: ReadSession, plan: ModalityPlan, layer: str) -> scipy.sparse.csr_matrix | np.ndarray:
    """One layer of the planned cells, rows in their order, columns as joined.

    Sparse: CSR with sorted columns; the dtype is what NumPy gives for the stored dtypes of the groups touched, at least
    float32 where one is in half precision. Dense: float32; a feature that a group did not measure is zero.
    """
    pointers, n_columns = plan.pointers, plan.features.n_columns
    if plan.spec.pointer_kind is PointerKind.SPARSE:
        return _read_sparse(session, plan, layer)
    arrays = [session.dense_layer(plan.spec, group, layer) for group in pointers.groups]
    if any(array.dtype == "float16" for array in arrays):
        return half_precision.gather_dense(arrays, plan.remaps, pointers, n_columns)
    return _core.gather_dense(arrays, plan.remaps, pointers.group_of_cell, pointers.begins, n_columns)


def _read_sparse(session: ReadSession, plan: ModalityPlan, layer: str) -> scipy.sparse.csr_matrix:
    path = f"{plan.spec.layers.path}/{layer}"
    groups = [session.sparse_group(plan.spec, group) for group in plan.pointers.groups]
    dtypes = [np.dtype(group.layer_dtype(path)) for group in groups]

    def gather(chosen: list[int], pointers: PointerColumns, dtype: np.dtype) -> scipy.sparse.csr_matrix:
        remaps = [plan.remaps[group] for group in chosen]
        return _gather([groups[group] for group in chosen], remaps, path, pointers, plan.features.n_columns, dtype)

    if np.dtype(np.float16) in dtypes:
        return half_precision.gather_sparse(dtypes, plan.pointers, gather)
    return gather(list(range(len(groups))), plan.pointers, np.result_type(*dtypes))


def _gather(
    groups: list[_core.SparseGroup],
    remaps: list[np.ndarray],
    path: str,
    pointers: PointerColumns,
    n_columns: int,
    dtype: np.dtype,
) -> scipy.sparse.csr_matrix:
    import scipy.sparse

    indptr, indices, data = _core.gather_csr(
        groups,
        remaps,
        path,
        pointers.group_of_cell,
        pointers.begins,
        pointers.ends,
        n_columns,
        dtype.name,
        sort=True,
    )
    if dtype == np.float16:
        data = data.astype(np.float32)  # SciPy has no half precision
    if len(data) <= _INT32_MAX:
        indptr = indptr.astype(np.int32)  # SciPy would otherwise widen the columns to match
    matrix = scipy.sparse.csr_matrix((data, indices, indptr), shape=(len(pointers.group_of_cell), n_columns))
    matrix.has_sorted_indices = True
    return matrix
