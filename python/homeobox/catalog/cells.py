"""The cell table: one row per cell, with pointers to its data and the user's obs columns."""

from typing import Any

import pyarrow as pa

from homeobox.catalog.arrow_schema import pointer_fields_of_table, to_arrow_schema
from homeobox.catalog.tables import Table
from homeobox.errors import InvalidArgumentError
from homeobox.schema import HoxBaseSchema, PointerField, get_spec, pointer_fields
from homeobox.schema.base import check_pointer_names


class SchemaMismatchError(InvalidArgumentError, TypeError):
    """A schema class and a cell table, or a pointer and its feature space, do not fit."""


class CellTable:
    """The cells of an atlas.

    Parameters
    ----------
    table : Table
        The cell table.
    cell_schema : type of HoxBaseSchema, optional
        The user's class, compared with the table here. Without it the pointers are taken from the table.

    Raises
    ------
    TypeError
        The class does not fit the table, or a pointer does not fit its feature space; names the column.
    """

    def __init__(self, table: Table, cell_schema: type[HoxBaseSchema] | None) -> None:
        self.table = table
        self.cell_schema = cell_schema
        in_table = pointer_fields_of_table(table.schema)
        if cell_schema is not None:
            _check_class_fits(cell_schema, table)
            self.pointer_fields = {name: in_table[name] for name in pointer_fields(cell_schema)}
        else:
            self.pointer_fields = in_table
        check_pointer_kinds(self.pointer_fields, f"cell table '{table.name}'")

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the table."""
        return self.table.schema

    def append(self, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Append cells of exactly the table's schema, in one commit."""
        if isinstance(rows, pa.Table):
            try:
                rows = rows.select(self.schema.names).cast(self.schema)
            except (pa.ArrowException, KeyError, ValueError) as error:
                raise InvalidArgumentError(f"cell table '{self.table.name}': rows do not fit: {error}") from error
        self.table.append(rows)

    def describe(self) -> list[tuple[str, str]]:
        """(name, type) of the obs columns, pointers left out."""
        return [(f.name, str(f.type)) for f in self.schema if f.name not in self.pointer_fields]


def check_pointer_kinds(fields: dict[str, PointerField], where: str) -> None:
    """Refuse pointers of the wrong kind for their feature space.

    Raises
    ------
    UnknownFeatureSpaceError
        A pointer of a space that nobody registered; also a KeyError.
    SchemaMismatchError
        A sparse pointer for a dense space or the other way round; also a TypeError.
    """
    for field in fields.values():
        expected = get_spec(field.feature_space).pointer_kind
        if field.kind is not expected:
            raise SchemaMismatchError(
                f"{where}: pointer '{field.name}' is {field.kind.value}, "
                f"but feature space '{field.feature_space}' is {expected.value}"
            )


def _check_class_fits(cell_schema: Any, table: Table) -> None:
    where = f"cell table '{table.name}'"
    if not (isinstance(cell_schema, type) and issubclass(cell_schema, HoxBaseSchema)):
        raise SchemaMismatchError(f"{where}: cell_schema must be a subclass of HoxBaseSchema, found {cell_schema!r}")
    check_pointer_names(cell_schema)
    expected, found = to_arrow_schema(cell_schema), table.schema
    for field in expected:
        position = found.get_field_index(field.name)
        if position < 0:
            raise SchemaMismatchError(
                f"{where} has no column '{field.name}' of schema class {cell_schema.__name__}; it has {found.names}"
            )
        if not same_type(field.type, found.field(position).type):
            raise SchemaMismatchError(
                f"{where}: column '{field.name}' is {found.field(position).type}, "
                f"but schema class {cell_schema.__name__} says {field.type}"
            )
    for field in found:
        if not field.nullable and expected.get_field_index(field.name) < 0:
            raise SchemaMismatchError(
                f"{where}: column '{field.name}' may not be null and is not in schema class {cell_schema.__name__}"
            )


def same_type(expected: pa.DataType, found: pa.DataType) -> bool:
    """Equal apart from nullability and names inside nested types, which say nothing about what a value means."""
    if pa.types.is_struct(expected) and pa.types.is_struct(found):
        return [c.name for c in expected] == [c.name for c in found] and all(
            same_type(a.type, b.type) for a, b in zip(expected, found, strict=True)
        )
    if pa.types.is_fixed_size_list(expected) and pa.types.is_fixed_size_list(found):
        return expected.list_size == found.list_size and same_type(expected.value_type, found.value_type)
    if pa.types.is_list(expected) and pa.types.is_list(found):
        return same_type(expected.value_type, found.value_type)
    return bool(expected == found)
