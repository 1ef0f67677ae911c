"""Row classes become the Arrow schemas that lancedb would make of them."""

import datetime
import enum

import lancedb.pydantic
import pyarrow as pa
import pytest
from lancedb.pydantic import MultiVector, Vector
from pydantic import BaseModel, Field

from homeobox.catalog.arrow_schema import columns_to_arrow, pointer_fields_of_table, rows_to_arrow, to_arrow_schema
from homeobox.schema import (
    AtlasVersionRecord,
    DatasetRecord,
    DenseZarrPointer,
    FeatureBaseSchema,
    FeatureLayout,
    HoxBaseSchema,
    PointerKind,
    SparseZarrPointer,
)


class Inner(BaseModel):
    a: int
    b: str | None = None


class Everything(HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    protein_abundance: DenseZarrPointer
    i: int
    f: float | None = None
    s: str = "default"
    flag: bool | None = None
    raw: bytes = b""
    day: datetime.date | None = None
    moment: datetime.datetime | None = None
    zoned: datetime.datetime = Field(json_schema_extra={"tz": "UTC"})
    names: list[str] = Field(default_factory=list)
    holes: list[int | None] | None = None
    inner: Inner
    embedding: Vector(4)
    strict: Vector(3, nullable=False)
    many: MultiVector(5)
    pairs: tuple[float, ...] = ()
    half: Vector(2, value_type=pa.float16()) | None = None


@pytest.mark.parametrize("row_class", [Everything, FeatureBaseSchema, DatasetRecord, FeatureLayout, AtlasVersionRecord])
def test_schema_is_that_of_lancedb(row_class: type[BaseModel]) -> None:
    expected = lancedb.pydantic.pydantic_to_schema(row_class)
    assert to_arrow_schema(row_class).equals(expected, check_metadata=True)


def test_the_pointer_struct_is_that_of_the_format() -> None:
    schema = to_arrow_schema(Everything)
    pointer = schema.field("gene_expression")
    assert pointer.nullable
    assert [(c.name, str(c.type), c.nullable) for c in pointer.type] == [
        ("feature_space", "string", False),
        ("zarr_group", "string", False),
        ("start", "int64", False),
        ("end", "int64", False),
        ("zarr_row", "int64", False),
    ]
    fields = pointer_fields_of_table(schema)
    assert {name: (f.kind, f.nullable) for name, f in fields.items()} == {
        "gene_expression": (PointerKind.SPARSE, True),
        "protein_abundance": (PointerKind.DENSE, False),
    }


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize("annotation", [Colour, dict[str, int], int | str, list, list[int | str], tuple[int, str]])
def test_types_without_a_column_are_refused(annotation: object) -> None:
    row_class = type("Row", (BaseModel,), {"__annotations__": {"x": annotation}})
    with pytest.raises(TypeError, match=r"Row\.x: "):
        to_arrow_schema(row_class)


SCHEMA = pa.schema([pa.field("uid", pa.string(), False), pa.field("n", pa.int64()), pa.field("s", pa.string())])


def test_columns_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"here: unknown column\(s\) \['extra'\]; the table has \['uid', 'n', 's'\]"):
        columns_to_arrow({"uid": ["a"], "extra": [1]}, SCHEMA, "here")
    with pytest.raises(ValueError, match="here: column 'uid' is missing, but it may not be null"):
        columns_to_arrow({"n": [1]}, SCHEMA, "here")
    with pytest.raises(ValueError, match=r"here: column 'uid' has 1 empty value\(s\), but it may not be null"):
        columns_to_arrow({"uid": ["a", None]}, SCHEMA, "here")
    with pytest.raises(ValueError, match="here: column 'n' must be int64"):
        columns_to_arrow({"uid": ["a"], "n": ["x"]}, SCHEMA, "here")


def test_rows_of_several_classes_become_one_table() -> None:
    class Symbol(FeatureBaseSchema):
        symbol: str | None = None

    schema = to_arrow_schema(Symbol)
    table = rows_to_arrow([FeatureBaseSchema(uid="a"), Symbol(uid="b", symbol="B")], schema, "here")
    assert table.to_pylist() == [
        {"uid": "a", "global_index": None, "symbol": None},
        {"uid": "b", "global_index": None, "symbol": "B"},
    ]
    with pytest.raises(ValueError, match=r"unknown column\(s\) \['symbol'\]"):
        rows_to_arrow([Symbol(uid="b")], to_arrow_schema(FeatureBaseSchema), "here")
