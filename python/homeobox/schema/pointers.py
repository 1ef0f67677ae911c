"""Pointers: the cell-table columns that lead from a cell to its data in a group.

A pointer column is named like its feature space. A cell without that modality holds a *zero-filled* pointer (empty
strings, zeros), never a null: that is what the format says and what readers test (``zarr_group != ""``).
"""

import types
import typing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, model_validator

from homeobox.errors import InvalidArgumentError
from homeobox.schema.spaces import PointerKind, get_spec


class SparseZarrPointer(BaseModel):
    """Where a cell's data lies in the flat arrays of a sparse group.

    ``[start, end)`` counts elements of the whole group; ``zarr_row`` is the cell's row in it.
    """

    feature_space: str
    zarr_group: str
    start: int
    end: int
    zarr_row: int

    @model_validator(mode="after")
    def _space_is_sparse(self) -> "SparseZarrPointer":
        if get_spec(self.feature_space).pointer_kind is not PointerKind.SPARSE:
            raise ValueError(f"feature space '{self.feature_space}' requires a dense pointer, not a sparse pointer")
        return self


class DenseZarrPointer(BaseModel):
    """Where a cell's data lies in a dense group: ``position`` is its row on axis 0."""

    feature_space: str
    zarr_group: str
    position: int

    @model_validator(mode="after")
    def _space_is_dense(self) -> "DenseZarrPointer":
        if get_spec(self.feature_space).pointer_kind is not PointerKind.DENSE:
            raise ValueError(f"feature space '{self.feature_space}' requires a sparse pointer, not a dense pointer")
        return self


ZarrPointer = SparseZarrPointer | DenseZarrPointer

_KIND_OF_CLASS: dict[type, PointerKind] = {
    SparseZarrPointer: PointerKind.SPARSE,
    DenseZarrPointer: PointerKind.DENSE,
}


@dataclass(frozen=True)
class PointerField:
    """One pointer column of a cell table. ``name`` and ``feature_space`` are the same string."""

    name: str
    feature_space: str
    kind: PointerKind
    nullable: bool = True

    @property
    def field_name(self) -> str:
        """`name`, as 0.2.2 calls it."""
        return self.name

    @property
    def pointer_kind(self) -> PointerKind:
        """`kind`, as 0.2.2 calls it."""
        return self.kind

    @property
    def pointer_type(self) -> type[BaseModel]:
        """The class of its values."""
        return SparseZarrPointer if self.kind is PointerKind.SPARSE else DenseZarrPointer


#: The name that 0.2.2 has for it.
PointerFieldInfo = PointerField


def split_optional(annotation: Any) -> tuple[list[Any], bool]:
    """The types of a union without None, and whether None was among them. ``X`` alone gives ``([X], False)``."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = typing.get_args(annotation)
        return [m for m in members if m is not type(None)], type(None) in members
    return [annotation], False


def pointer_fields(schema: type[BaseModel]) -> dict[str, PointerField]:
    """The pointer columns of a schema class, inherited ones included, in field order."""
    fields: dict[str, PointerField] = {}
    for name, info in schema.model_fields.items():
        members, nullable = split_optional(info.annotation)
        kinds = [
            kind
            for member in members
            for pointer_class, kind in _KIND_OF_CLASS.items()
            if isinstance(member, type) and issubclass(member, pointer_class)
        ]
        if len(kinds) > 1:
            raise InvalidPointerFieldError(
                f"{schema.__name__}.{name}: a pointer field has one pointer type, not a union"
            )
        if kinds:
            fields[name] = PointerField(name, name, kinds[0], nullable)
    return fields


class InvalidPointerFieldError(InvalidArgumentError, TypeError):
    """A schema class declares a pointer that cannot be right."""
