"""From a pydantic row class to the Arrow schema of its table, and back to the pointer columns of a table.

The rules are those of lancedb's adapter as FORMAT.md states them: field order is column order, ``X | None`` is the
only thing that makes a column nullable, no metadata but what `homeobox.schema.column` records. It is written out here
because importing lancedb takes two seconds and a checkout has to compare a class with its table; a test holds the two
together.
"""

import datetime
import typing
from typing import Any

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from homeobox.catalog.column_casts import keeps_meaning
from homeobox.errors import InvalidArgumentError
from homeobox.schema import ColumnInfo, DenseZarrPointer, PointerField, PointerKind, SparseZarrPointer
from homeobox.schema.pointers import split_optional

_SCALARS: dict[Any, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    str: pa.utf8(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime.date: pa.date32(),
}


class UnsupportedColumnTypeError(InvalidArgumentError, TypeError):
    """A schema class has a field that no table column can hold."""


def to_arrow_schema(row_class: type[BaseModel]) -> pa.Schema:
    """The Arrow schema of a table whose rows are `row_class`.

    Raises
    ------
    TypeError
        A field's type has no column type (an Enum, a dict, a union of two types); names the class and the field.
    """
    return pa.schema(_fields(row_class))


def _fields(row_class: type[BaseModel]) -> list[pa.Field]:
    return [_field(row_class, name, info) for name, info in row_class.model_fields.items()]


def _field(row_class: type[BaseModel], name: str, info: FieldInfo) -> pa.Field:
    members, nullable = split_optional(info.annotation)
    where = f"{row_class.__name__}.{name}"
    if len(members) != 1:
        raise UnsupportedColumnTypeError(f"{where}: a column has one type (or 'X | None'), found {info.annotation}")
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    # lancedb's Vector(n) types say themselves whether their column may hold nulls.
    vector_nullable = members[0].nullable() if _is_vector(members[0]) else False
    kind = _data_type(members[0], where, extra)
    return pa.field(name, kind, nullable or vector_nullable, metadata=ColumnInfo.of_field(info).to_metadata())


def _is_vector(annotation: Any) -> bool:
    return isinstance(annotation, type) and all(
        callable(getattr(annotation, name, None)) for name in ("dim", "value_arrow_type", "nullable")
    )


def _data_type(annotation: Any, where: str, extra: dict[str, Any]) -> pa.DataType:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if annotation is datetime.datetime:
        return pa.timestamp("us", tz=extra.get("tz"))
    if _is_vector(annotation):
        vector = pa.list_(annotation.value_arrow_type(), annotation.dim())
        return pa.list_(vector) if getattr(annotation, "is_multi_vector", lambda: False)() else vector
    if typing.get_origin(annotation) in (list, tuple):
        return pa.list_(_item_type(typing.get_args(annotation), where))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.struct(_fields(annotation))
    raise UnsupportedColumnTypeError(f"{where}: no column type for {annotation}")


def _item_type(items: tuple[Any, ...], where: str) -> pa.DataType:
    # Items may always be null, whatever the annotation says: that is how lancedb writes lists.
    distinct = {item for item in items if item is not Ellipsis}
    members, _ = split_optional(distinct.pop()) if len(distinct) == 1 else (items, False)
    if len(members) != 1:
        raise UnsupportedColumnTypeError(f"{where}: the items of a list column have one type, found {items}")
    return _data_type(members[0], where, {})


def rows_to_arrow(rows: list[BaseModel], schema: pa.Schema, where: str) -> pa.Table:
    """Row objects as a table of exactly `schema`, whatever subclass each row is of.

    Raises
    ------
    InvalidArgumentError
        A row has a field that the table lacks or a value that its column cannot hold; names `where` and the column.
    """
    unknown = {name for cls in {type(row) for row in rows} for name in cls.model_fields} - set(schema.names)
    if unknown:
        raise InvalidArgumentError(f"{where}: unknown column(s) {sorted(unknown)}; the table has {schema.names}")
    columns = {name: [_plain(getattr(row, name, None)) for row in rows] for name in schema.names}
    return columns_to_arrow(columns, schema, where)


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


def columns_to_arrow(columns: dict[str, Any], schema: pa.Schema, where: str) -> pa.Table:
    """Columns (lists, Arrow or NumPy arrays) as a table of exactly `schema`; an absent column becomes null.

    Raises
    ------
    InvalidArgumentError
        A value does not fit its column, or a column that may not be null is missing or has nulls.
    """
    unknown = set(columns) - set(schema.names)
    if unknown:
        raise InvalidArgumentError(f"{where}: unknown column(s) {sorted(unknown)}; the table has {schema.names}")
    n_rows = len(next(iter(columns.values()))) if columns else 0
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        try:
            if values is None:
                array = pa.nulls(n_rows, field.type)
            elif isinstance(values, pa.Array | pa.ChunkedArray):
                array = _cast(values, field, where)
            else:
                array = pa.array(values, type=field.type)
        except (pa.ArrowException, OverflowError) as error:
            raise InvalidArgumentError(f"{where}: column '{field.name}' must be {field.type}: {error}") from error
        if array.null_count and not field.nullable:
            missing = "is missing" if values is None else f"has {array.null_count} empty value(s)"
            raise InvalidArgumentError(f"{where}: column '{field.name}' {missing}, but it may not be null")
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=schema)


def _cast(values: pa.Array | pa.ChunkedArray, field: pa.Field, where: str) -> pa.Array | pa.ChunkedArray:
    """A column of a frame in the type of its table: exact, or refused."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not keeps_meaning(values.type, field.type):
        raise InvalidArgumentError(f"{where}: column '{field.name}' must be {field.type}, found {values.type}")
    return values.cast(field.type)


_CHILDREN = {
    frozenset(SparseZarrPointer.model_fields): PointerKind.SPARSE,
    frozenset(DenseZarrPointer.model_fields): PointerKind.DENSE,
}


def pointer_fields_of_table(schema: pa.Schema) -> dict[str, PointerField]:
    """The pointer columns of a cell table, recognised by the names of a struct's children."""
    fields = {}
    for field in schema:
        if pa.types.is_struct(field.type):
            kind = _CHILDREN.get(frozenset(child.name for child in field.type))
            if kind is not None:
                fields[field.name] = PointerField(field.name, field.name, kind, field.nullable)
    return fields
