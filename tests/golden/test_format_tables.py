"""The tables of FORMAT.md are the tables that an atlas has, and its feature spaces those that are registered."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from golden.format_vectors import FORMAT
from pydantic import BaseModel

from homeobox.catalog.arrow_schema import to_arrow_schema
from homeobox.ingest.encoding import Encoding
from homeobox.schema import (
    AtlasVersionRecord,
    DatasetRecord,
    DenseZarrPointer,
    FeatureBaseSchema,
    FeatureLayout,
    HoxBaseSchema,
    SparseZarrPointer,
    get_spec,
    registered_feature_spaces,
)


class Cell(HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    protein_abundance: DenseZarrPointer | None = None


def section(title: str) -> str:
    """What stands under a heading, up to the next one."""
    return re.split(r"^#+ ", FORMAT.read_text().split(f" {title}\n", 1)[1], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Cells of the table rows of a text that begin with a name in code."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def columns(text: str) -> list[tuple[str, str, str]]:
    """(name, type, nullable) of each column that the document names; without a column for it, none is nullable."""
    return [
        (name.strip("`"), row[1], row[2] if len(row) == 4 else "no")
        for row in rows(text)
        for name in row[0].split(", ")
    ]


def described(schema: pa.Schema) -> list[tuple[str, str, str]]:
    return [(field.name, str(field.type), "yes" if field.nullable else "no") for field in schema]


@pytest.mark.parametrize(
    ("title", "row_class"),
    [
        ("2.4 Dataset table", DatasetRecord),
        ("2.5 Registry tables", FeatureBaseSchema),
        ("2.6 Table `_feature_layouts`", FeatureLayout),
        ("2.7 Table `atlas_versions`", AtlasVersionRecord),
    ],
)
def test_columns(title: str, row_class: type[BaseModel]) -> None:
    assert columns(section(title)) == described(to_arrow_schema(row_class))


def test_columns_of_the_cell_table_and_pointers() -> None:
    text = section("2.3 Cell table")
    cells, sparse = text.split("A *sparse pointer*")
    schema = to_arrow_schema(Cell)
    assert columns(cells) == described(schema)[:2]
    for pointer in ("gene_expression", "protein_abundance"):
        assert schema.field(pointer).nullable
    assert columns(sparse) == described(pa.schema(schema.field("gene_expression").type))
    (dense,) = re.findall(r"A \*dense pointer\*: (.*?),\s+the row", text, flags=re.DOTALL)
    assert re.findall(r"`(\w+)` (\w+)", dense) == [
        (field.name, str(field.type)) for field in schema.field("protein_abundance").type
    ]


def test_feature_spaces() -> None:
    described_spaces = {row[0].strip("`"): row for row in rows(section("3.2 Feature spaces"))}
    # Other tests of this process may have registered spaces of their own.
    assert described_spaces.keys() == {name for name in registered_feature_spaces() if not name.startswith("test_")}
    for space, (_, kind, arrays, layers, features) in described_spaces.items():
        spec = get_spec(space)
        assert kind == spec.pointer_kind.value
        assert re.findall(r"`(.*?)`", arrays) == [array.array_name for array in spec.required_arrays]
        required, _, allowed = layers.partition(";")
        names = re.findall(r"`(.*?)`", required)
        assert names == ([f"{spec.layers.path}/", *spec.layers.required] if names else [])
        assert re.findall(r"`(.*?)`", allowed) == spec.layers.allowed
        assert features.startswith("yes") == spec.has_var_df


def test_default_shapes() -> None:
    text = section("4.5 Shapes and codecs that the writer chooses")
    numbers = [[int(n.replace(",", "")) for n in re.findall(r"\d[\d,]{3,}\d", line)] for line in text.splitlines()]
    chunks, shards = [found for found in numbers if found]
    for codec, chunk, shard in zip(("bp128", "bitpacking"), chunks, shards, strict=True):
        plan = Encoding(codec).plan_indices(10**9)
        assert plan.chunk_shape == (chunk,)
        assert plan.shard_shape == (shard // chunk * chunk,)
