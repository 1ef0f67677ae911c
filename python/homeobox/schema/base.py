"""Row types of the tables: what users subclass, and the two that the atlas keeps for itself.

Plain pydantic: a class here says names, types and order of columns (base-class fields first); catalog/ turns it
into an Arrow schema. Nothing here touches a table.
"""

import datetime
import json
from typing import Any

from pydantic import BaseModel, Field, model_validator

from homeobox.schema.pointers import (
    DenseZarrPointer,
    InvalidPointerFieldError,
    SparseZarrPointer,
    pointer_fields,
)
from homeobox.schema.spaces import registered_feature_spaces
from homeobox.schema.uids import make_uid

#: Columns of the cell table that an ingest fills itself; users' obs need not have them.
AUTO_FIELDS = frozenset({"uid", "dataset_uid"})


def utc_now() -> str:
    """The present moment as it is recorded in tables: ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat()


class HoxBaseSchema(BaseModel):
    """One cell: an identifier, the dataset it came from, pointers to its data, and the user's obs columns.

    Subclass it and declare at least one pointer field, named like its feature space::

        class CellSchema(HoxBaseSchema):
            gene_expression: SparseZarrPointer | None = None
            cell_type: str | None = None

    Raises
    ------
    TypeError
        On definition of a class without a pointer field, or with one that is not named like a feature space.
    """

    uid: str = Field(default_factory=make_uid)
    dataset_uid: str = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if not cls.__pydantic_complete__:
            return  # a forward reference is still open; the atlas checks again when it is built with the class
        check_pointer_names(cls)

    @model_validator(mode="after")
    def _some_pointer_is_set(self) -> "HoxBaseSchema":
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
