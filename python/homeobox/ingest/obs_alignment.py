"""obs brought into the form of a cell schema before an ingest, for pipelines that look at it in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from homeobox.errors import InvalidArgumentError
from homeobox.schema import AUTO_FIELDS, ColumnInfo, HoxBaseSchema, pointer_fields

if TYPE_CHECKING:
    import anndata
    import pandas as pd
    from pydantic.fields import FieldInfo


def validate_obs_columns(
    obs: pd.DataFrame, cell_schema: type[HoxBaseSchema], obs_to_schema: Mapping[str, str] | None = None
) -> list[str]:
    """Which columns a schema requires and obs lacks.

    Parameters
    ----------
    obs : pandas.DataFrame
        One row per cell.
    cell_schema : type of HoxBaseSchema
        Fields with a default are not required.
    obs_to_schema : dict, optional
        Column of obs -> field, where the names differ.

    Returns
    -------
    list of str
        One message per missing column. Types are checked by the ingest. Stage: stable.
    """
    names = _field_names(obs, cell_schema, obs_to_schema)
    return [
        f"Missing required column '{field}'"
        for field, info in _obs_fields(cell_schema).items()
        if info.is_required() and field not in names.values()
    ]


def align_obs_to_schema(
    adata: anndata.AnnData,
    cell_schema: type[HoxBaseSchema],
    *,
    obs_to_schema: Mapping[str, str] | None = None,
    inplace: bool = False,
) -> anndata.AnnData:
    """Give obs the columns of a schema: renamed, those that are missing filled with their default, others dropped.

    An ingest takes an AnnData without this, and names what it drops.

    Parameters
    ----------
    adata : AnnData
        Copied with its matrix unless `inplace`.
    cell_schema : type of HoxBaseSchema
        Its pointers, and vectors that are in obsm, are no columns of obs.
    obs_to_schema : dict, optional
        Column of obs -> field, where the names differ.

    Raises
    ------
    InvalidArgumentError
        A required column is missing; names all. Nothing was changed.
    """
    problems = validate_obs_columns(adata.obs, cell_schema, obs_to_schema)
    if problems:
        raise InvalidArgumentError("Cannot align obs to schema: " + "; ".join(problems))
    aligned = adata if inplace else adata.copy()
    names = _field_names(adata.obs, cell_schema, obs_to_schema)
    obs = adata.obs[list(names)].rename(columns=names)
    for field, info in _obs_fields(cell_schema).items():
        known = ColumnInfo.of_field(info)
        if field in obs.columns or known.obs_names or field in adata.obsm or known.obsm in adata.obsm:
            continue
        obs[field] = [info.get_default(call_default_factory=True) for _ in range(len(obs))]
    aligned.obs = obs[[field for field in _obs_fields(cell_schema) if field in obs.columns]]
    return aligned


def _obs_fields(cell_schema: type[HoxBaseSchema]) -> dict[str, FieldInfo]:
    pointers = pointer_fields(cell_schema)
    fields = cell_schema.model_fields.items()
    return {name: info for name, info in fields if name not in pointers and name not in AUTO_FIELDS}


def _field_names(
    obs: pd.DataFrame, cell_schema: type[HoxBaseSchema], obs_to_schema: Mapping[str, str] | None
) -> dict[str, str]:
    """Column of obs -> field, of the columns that are fields; a name that the caller gave goes first."""
    given = dict(obs_to_schema or {})
    unknown = [column for column in given if column not in obs.columns]
    if unknown:
        raise InvalidArgumentError(
            f"obs_to_schema names column(s) {unknown} that obs lacks; it has {list(obs.columns)}"
        )
    fields = _obs_fields(cell_schema)
    sources = {ColumnInfo.of_field(info).source: name for name, info in fields.items()}
    names = {column: field for column, field in given.items() if field in fields}
    for column in obs.columns:
        field = column if column in fields else sources.get(column)
        if field is not None and column not in given and field not in names.values():
            names[column] = field
    return names
