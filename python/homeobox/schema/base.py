"""Row types of the tables: what users subclass, and the two that the atlas keeps for itself.

Plain pydantic: a class here says names, types and order of columns (base-class fields first); catalog/ turns it
into an Arrow schema. Nothing here touches a table.
"""

from __future__ import annotations

import datetime
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, model_validator

from homeobox.errors import InvalidArgumentError
from homeobox.schema.columns import ColumnInfo
from homeobox.schema.derive import NameTable, fields_of_frame, fields_of_obsm, new_class, optional_field, plain_values
from homeobox.schema.pointers import (
    DenseZarrPointer,
    InvalidPointerFieldError,
    SparseZarrPointer,
    pointer_fields,
)
from homeobox.schema.spaces import registered_feature_spaces
from homeobox.schema.uids import make_uid

if TYPE_CHECKING:
    import anndata
    import pandas as pd

#: Columns of the cell table that an ingest fills itself; users' obs need not have them.
AUTO_FIELDS = frozenset({"uid", "dataset_uid"})


def utc_now() -> str:
    """The present moment as it is recorded in tables: ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat()


def _is_being_unpickled() -> bool:
    """Whether cloudpickle makes a class, as on the workers of a cluster: it gives it its fields afterwards."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "_make_skeleton_class":
            return True
        frame = frame.f_back
    return False


class HoxBaseSchema(BaseModel):
    """One cell: an identifier, the dataset it came from, pointers to its data, and the user's obs columns.

    Subclass it and declare at least one pointer field, named like its feature space::

        class CellSchema(HoxBaseSchema):
            gene_expression: SparseZarrPointer | None = None
            cell_type: str | None = None

    Raises
    ------
    TypeError
        On definition of a class without a pointer of its own, or with one that is not named like a feature space.
    """

    uid: str = Field(default_factory=make_uid)
    dataset_uid: str = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        # A forward reference may still be open, or the fields may still come. The atlas checks again when it is built.
        if not cls.__pydantic_complete__ or (not inspect.get_annotations(cls) and _is_being_unpickled()):
            return
        check_pointer_names(cls)

    @classmethod
    def from_anndata(
        cls,
        adata: anndata.AnnData,
        name: str = "CellSchema",
        *,
        pointers: Mapping[str, type] | None = None,
        obs_names: str | None = None,
        obsm: Mapping[str, str] | Sequence[str] | bool | None = None,
    ) -> type[Self]:
        """Derive a schema class whose fields are the columns of `adata.obs`.

        Parameters
        ----------
        adata : AnnData
            Where the columns, their types and their categories are taken from.
        name : str
            Of the new class.
        pointers : dict, optional
            Feature space -> pointer class. Default: ``gene_expression``, sparse, unless the class has pointers.
        obs_names : str, optional
            Column that takes the names of the cells.
        obsm : dict, list or True, optional
            Matrices that become `Vector` columns: ``{"X_pca": "pca"}``, ``["X_pca"]``, or True for all.

        Returns
        -------
        type
            A subclass of this class. Every field may be None, so that other datasets fit the same atlas.

        Raises
        ------
        InvalidArgumentError
            `obs_names` is the name of a column with other values, or a matrix of obsm cannot be a vector column.

        Notes
        -----
        Categories come back in their order; a number comes back as int64 or float64. A name such as ``n.umi`` becomes
        ``n_umi`` and is found again by an ingest. A column that no table can hold (durations, mixed objects) is named
        in a warning. Stage: experimental.

        Examples
        --------
        >>> CellSchema = HoxBaseSchema.from_anndata(adata, obs_names="barcode", obsm=True)  # doctest: +SKIP
        """
        if pointers is None:
            pointers = {} if pointer_fields(cls) else {"gene_expression": SparseZarrPointer}
        fields: dict[str, Any] = {space: (kind | None, None) for space, kind in pointers.items()}
        names = NameTable(cls, [*fields, *([] if obs_names is None else [obs_names])])
        obs = adata.obs
        if obs_names is not None:
            if obs_names in obs.columns and obs[obs_names].astype(str).tolist() != adata.obs_names.tolist():
                raise InvalidArgumentError(
                    f"obs_names='{obs_names}': adata.obs has a column of this name whose values are not its obs_names"
                )
            fields[obs_names] = optional_field(str, obs_names=True)
            obs = obs.drop(columns=obs_names, errors="ignore")
        declared = [column for column in obs.columns if column in cls.model_fields and column not in AUTO_FIELDS]
        fields |= fields_of_frame(obs.drop(columns=declared), names, "obs")
        fields |= fields_of_obsm(adata.obsm, obsm, names)
        return new_class(name, cls, fields)

    @model_validator(mode="after")
    def _some_pointer_is_set(self) -> HoxBaseSchema:
        if not any(
            isinstance(getattr(self, name), SparseZarrPointer | DenseZarrPointer) for name in type(self).model_fields
        ):
            raise ValueError(f"{type(self).__name__} requires at least one populated zarr pointer field")
        return self

    @classmethod
    def compute_auto_fields(cls, obs_df: Any) -> Any:
        """A place for users' own derived columns; gives the frame back as it is. The package never calls it."""
        return obs_df


def check_pointer_names(schema: type[BaseModel]) -> None:
    """Refuse a cell schema without a pointer, or with one that is not named like a registered feature space.

    Raises
    ------
    TypeError
        As the class definition itself would.
    """
    fields = pointer_fields(schema)
    if not fields:
        raise InvalidPointerFieldError(
            f"{schema.__name__} must declare at least one SparseZarrPointer or DenseZarrPointer field"
        )
    unknown = sorted(set(fields) - registered_feature_spaces())
    if unknown:
        raise InvalidPointerFieldError(
            f"{schema.__name__}.{unknown[0]}: a pointer field name must match a registered feature space, "
            f"one of {sorted(registered_feature_spaces())}"
        )


class FeatureBaseSchema(BaseModel):
    """One feature of a registry. Subclass it to add columns; ``global_index`` is assigned by ``optimize()``."""

    uid: str = Field(default_factory=make_uid)
    global_index: int | None = None

    @classmethod
    def from_var(
        cls,
        var: pd.DataFrame,
        uid: str | None = None,
        name: str = "FeatureSchema",
        *,
        var_names: str | None = None,
    ) -> type[Self]:
        """Derive a schema class whose fields are the columns of `var`.

        Parameters
        ----------
        var : pandas.DataFrame
            Where the columns, their types and their categories are taken from.
        uid : str, optional
            Column that identifies a feature, the same in every dataset, such as an Ensembl id. Default: the index.
        name : str
            Of the new class.
        var_names : str, optional
            Column that takes the names of the rows, such as gene symbols where `uid` is an Ensembl id.

        Returns
        -------
        type
            A subclass of this class, whose :meth:`features_from_var` makes the rows to register.

        Raises
        ------
        InvalidArgumentError
            There is no column `uid`, or `var_names` is the name of a column with other values.

        Examples
        --------
        >>> Gene = FeatureBaseSchema.from_var(adata.var, uid="gene_ids", var_names="symbol")  # doctest: +SKIP
        >>> atlas.register_features("gene_expression", Gene.features_from_var(adata.var))  # doctest: +SKIP
        """
        if uid is not None and uid not in var.columns:
            raise InvalidArgumentError(f"var has no column '{uid}', it has {list(var.columns)}")
        if var_names is not None and var_names in cls.model_fields:
            raise InvalidArgumentError(f"var_names='{var_names}': {cls.__name__} has a column of this name")
        if var_names in var.columns and var[var_names].astype(str).tolist() != var.index.astype(str).tolist():
            raise InvalidArgumentError(
                f"var_names='{var_names}': var has a column of this name whose values are not the names of its rows"
            )
        names = NameTable(cls, [] if var_names is None else [var_names])
        # The columns that an ingest or a query adds say nothing about the feature itself.
        own = [column for column in var.columns if column not in (uid, "uid", "global_index", "global_feature_uid")]
        own = [column for column in own if column not in cls.model_fields and column != var_names]
        fields = {} if var_names is None else {var_names: optional_field(str, obs_names=True)}
        fields |= fields_of_frame(var[own], names, "var")
        if uid is not None:
            extra = ColumnInfo(source=uid).to_extra()
            fields = {"uid": (str, Field(default_factory=make_uid, json_schema_extra=extra)), **fields}
        return new_class(name, cls, fields)

    @classmethod
    def features_from_var(cls, var: pd.DataFrame) -> list[Self]:
        """The features of `var`, in its order, for `register_features`.

        Raises
        ------
        InvalidArgumentError
            A column is missing that the class requires, or a uid is missing or not text.
        """
        columns: dict[str, list[Any]] = {}
        for name, info in cls.model_fields.items():
            known = ColumnInfo.of_field(info)
            found = next((key for key in (known.source, name) if key is not None and key in var.columns), None)
            if name == "uid" and found is None:
                columns[name] = var.index.tolist()
            elif known.obs_names and found is None:
                columns[name] = [str(label) for label in var.index]
            elif found is not None and name != "global_index":
                columns[name] = plain_values(var[found])
            elif info.is_required():
                raise InvalidArgumentError(f"var has no column '{name}', which {cls.__name__} requires")
        other = next((uid for uid in columns["uid"] if not isinstance(uid, str) or not uid), None)
        if other is not None or None in columns["uid"]:
            raise InvalidArgumentError(f"the uids of features must be text, found {other!r}")
        rows = zip(*columns.values(), strict=True)
        return [cls(**dict(zip(columns, row, strict=True))) for row in rows]


class DatasetRecord(BaseModel):
    """One dataset in one feature space: a group and where it came from. Subclass it to add provenance columns."""

    uid: str = Field(default_factory=make_uid)
    zarr_group: str
    feature_space: str
    n_cells: int
    layout_uid: str = ""
    created_at: str = Field(default_factory=utc_now)


class FeatureLayout(BaseModel):
    """One feature of one layout: its place in the dataset (local) and in the registry (global)."""

    layout_uid: str
    feature_uid: str
    local_index: int
    global_index: int | None = None


class AtlasVersionRecord(BaseModel):
    """One snapshot: the version of every table, and where the arrays were."""

    version: int
    cell_table_name: str
    cell_table_version: int
    dataset_table_name: str
    dataset_table_version: int
    registry_table_names: str
    registry_table_versions: str
    feature_layouts_table_version: int
    total_cells: int
    zarr_store_uri: str = ""
    created_at: str = Field(default_factory=utc_now)

    @property
    def registries(self) -> dict[str, tuple[str, int]]:
        """Feature space -> (table name, version), in recorded order."""
        names: dict[str, str] = json.loads(self.registry_table_names)
        versions: dict[str, int] = json.loads(self.registry_table_versions)
        return {space: (name, versions[space]) for space, name in names.items()}
