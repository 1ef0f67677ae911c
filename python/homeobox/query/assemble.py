"""AnnData from a query: picks the modality, reads it, and puts obs, var and matrices together.

Which features a dataset measured is kept beside the values, since an unmeasured feature reads as zero:
``varm["measured"]`` is features x layouts, ``obsm["layout"]`` names the column of it that holds for each cell, and
``uns["layouts"]`` has the layouts' uids.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from homeobox.errors import UnsupportedError
from homeobox.query.cells import read_cells
from homeobox.query.frame_columns import vectors
from homeobox.query.modality import ModalityPlan, active_fields, plan_modality, read_layer
from homeobox.query.obs_frame import obs_frame
from homeobox.query.request import QueryRequest
from homeobox.query.session import ReadSession
from homeobox.schema import get_spec

if TYPE_CHECKING:
    import anndata


def to_anndata(session: ReadSession, request: QueryRequest) -> anndata.AnnData:
    """Run a query and give its first modality that has data, as `AtlasQuery.to_anndata` documents."""
    fields = active_fields(session, request)
    matrices = [field for field in fields if get_spec(field.feature_space).is_matrix]
    selection = read_cells(session.catalog, request, matrices or fields)
    pointers = next((columns for columns in selection.pointers if bool(columns.present.any())), None)
    if pointers is None:
        return _obs_only(selection.obs)
    if not matrices:
        raise UnsupportedError(
            f"feature space '{pointers.field.feature_space}' is not a cells x features matrix; it has no AnnData form"
        )
    present = pointers.present
    obs = selection.obs
    n_absent = len(present) - int(np.count_nonzero(present))
    if n_absent:
        warnings.warn(
            f"{n_absent} of {len(present)} cells have no '{pointers.field.feature_space}' data and are left out",
            stacklevel=3,
        )
        obs = obs.filter(pa.array(present))
    plan = plan_modality(session, request, pointers.take_present())
    if plan.features.n_columns == 0:
        return _obs_only(obs)
    return _assemble(session, plan, obs)


def _obs_only(obs: pa.Table) -> anndata.AnnData:
    import anndata

    return anndata.AnnData(obs=obs_frame(obs), obsm=_obsm(obs))


def _assemble(session: ReadSession, plan: ModalityPlan, obs: pa.Table) -> anndata.AnnData:
    import anndata

    first, *others = plan.layers
    registry, columns = session.var_frame(plan.spec.feature_space), plan.features.global_index
    return anndata.AnnData(
        X=read_layer(session, plan, first),
        obs=obs_frame(obs),
        var=registry.take(columns),
        layers={layer: read_layer(session, plan, layer) for layer in others},
        varm={**registry.take_vectors(columns), "measured": plan.features.measured()},
        obsm={**_obsm(obs), "layout": plan.layout_of_cell[:, np.newaxis]},
        uns={"layouts": np.array(plan.features.layouts, dtype=object)},
    )


def _obsm(obs: pa.Table) -> dict[str, np.ndarray]:
    """Vector columns; one that is called like what a result says itself gets another name."""
    return {"layout_vector" if key == "layout" else key: matrix for key, matrix in vectors(obs).items()}
