"""Row classes, pointers, feature spaces and uids."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import homeobox as hox
from homeobox.errors import InvalidArgumentError, NotFoundError
from homeobox.schema import (
    AUTO_FIELDS,
    ArraySpec,
    DatasetRecord,
    DenseZarrPointer,
    DTypeKind,
    FeatureBaseSchema,
    HoxBaseSchema,
    LayersSpec,
    PointerKind,
    SparseZarrPointer,
    ZarrGroupSpec,
    column,
    compute_layout_uid,
    get_spec,
    make_stable_uid,
    make_uid,
    pointer_fields,
    register_spec,
    registered_feature_spaces,
)


class Cell(HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None


def sparse_pointer(space: str = "gene_expression") -> SparseZarrPointer:
    return SparseZarrPointer(feature_space=space, zarr_group="g", start=0, end=3, zarr_row=0)


@pytest.mark.parametrize(
    ("uids", "expected"),
    [
        ([], "e3b0c44298fc1c14"),
        (["uid_a", "uid_b", "uid_c"], "d84f0e5eb90c99fb"),
        (["uid_b", "uid_a", "uid_c"], "b84d4386c2d598ae"),
        (["ENSG00000141510", "ENSG00000012048"], "62da963d4a1318a3"),
    ],
)
def test_layout_uids_are_those_of_the_format(uids: list[str], expected: str) -> None:
    assert compute_layout_uid(uids) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("ENSG00000141510", "homo_sapiens"), "acefa5388743533e"),
        (("unresolved", "FAKEGENE"), "3a6c6cddf46d51d5"),
        (("2244",), "15f5ec2a49d45fec"),
        (("P07766", "homo_sapiens"), "737eb7f2c10657eb"),
    ],
)
def test_stable_uids_are_those_of_the_format(values: tuple[str, ...], expected: str) -> None:
    assert make_stable_uid(*values) == expected


def test_uids_are_sixteen_hex_characters_and_differ() -> None:
    uids = {make_uid() for _ in range(1000)}
    assert len(uids) == 1000
    assert all(re.fullmatch("[0-9a-f]{16}", uid) for uid in uids)


def test_a_cell_class_needs_a_pointer() -> None:
    with pytest.raises(TypeError, match="must declare at least one SparseZarrPointer or DenseZarrPointer field"):

        class NoPointer(HoxBaseSchema):
            tissue: str = ""


@pytest.mark.parametrize("position", [0, 1])
def test_every_pointer_is_named_like_a_feature_space(position: int) -> None:
    names = ["gene_expression", "genes"] if position else ["genes", "gene_expression"]
    annotations = dict.fromkeys(names, SparseZarrPointer | None)
    with pytest.raises(TypeError, match=r"Wrong\.genes: a pointer field name must match a registered feature space"):
        type("Wrong", (HoxBaseSchema,), {"__annotations__": annotations, **dict.fromkeys(names)})


def test_inherited_pointers_count() -> None:
    class More(Cell):
        tissue: str | None = None

    class EvenMore(More):
        protein_abundance: DenseZarrPointer | None = None

    assert list(pointer_fields(More)) == ["gene_expression"]
    fields = pointer_fields(EvenMore)
    assert [(f.name, f.kind, f.nullable) for f in fields.values()] == [
        ("gene_expression", PointerKind.SPARSE, True),
        ("protein_abundance", PointerKind.DENSE, True),
    ]
    assert list(EvenMore.model_fields) == ["uid", "dataset_uid", "gene_expression", "tissue", "protein_abundance"]


def test_a_union_of_two_pointers_is_refused() -> None:
    with pytest.raises(TypeError, match="one pointer type, not a union"):

        class Wrong(HoxBaseSchema):
            gene_expression: SparseZarrPointer | DenseZarrPointer | None = None


def test_a_cell_needs_one_pointer_that_is_set() -> None:
    with pytest.raises(ValueError, match="requires at least one populated zarr pointer field"):
        Cell()
    cell = Cell(gene_expression=sparse_pointer())
    assert len(cell.uid) == 16
    assert cell.dataset_uid == ""


def test_pointers_know_the_kind_of_their_space() -> None:
    with pytest.raises(ValueError, match="requires a dense pointer, not a sparse pointer"):
        sparse_pointer("protein_abundance")
    with pytest.raises(ValueError, match="requires a sparse pointer, not a dense pointer"):
        DenseZarrPointer(feature_space="gene_expression", zarr_group="g", position=0)
    with pytest.raises(KeyError, match="unknown feature space 'nope'; registered are"):
        sparse_pointer("nope")


def test_auto_fields_and_the_hook() -> None:
    assert sorted(AUTO_FIELDS) == ["dataset_uid", "uid"]
    assert Cell.compute_auto_fields("anything") == "anything"


def test_features_and_datasets_have_defaults() -> None:
    class Gene(FeatureBaseSchema):
        symbol: str

    assert Gene(symbol="CD3D").global_index is None
    assert Gene(uid="x", symbol="CD3D", global_index=4).global_index == 4
    record = DatasetRecord(zarr_group="g", feature_space="gene_expression", n_cells=3)
    assert record.layout_uid == ""
    assert record.created_at.endswith("+00:00")


def test_the_five_spaces_are_registered() -> None:
    assert registered_feature_spaces() >= {
        "gene_expression",
        "image_features",
        "protein_abundance",
        "chromatin_accessibility",
        "image_tiles",
    }
    with pytest.raises(ValueError, match="'gene_expression' is already registered"):
        register_spec(get_spec("gene_expression"))
    with pytest.raises(NotFoundError) as caught:
        get_spec("nope")
    assert "homeobox.register_spec" in str(caught.value)
    assert get_spec("gene_expression").find_layers_path() == "csr/layers"
    assert get_spec("image_tiles").find_layers_path() == "layers"


class FakeGroup:
    """Metadata of a group, by path: (shape, kind) of an array, None for a group."""

    def __init__(self, nodes: dict[str, tuple[tuple[int, ...], str] | None]) -> None:
        self.nodes = nodes

    def array(self, path: str) -> tuple[tuple[int, ...], str] | None:
        return self.nodes.get(path)

    def is_group(self, path: str) -> bool:
        return path in self.nodes and self.nodes[path] is None

    def array_names(self, path: str) -> list[str]:
        return sorted(k.rsplit("/", 1)[1] for k, v in self.nodes.items() if v and k.rsplit("/", 1)[0] == path)


GOOD = {"csr/indices": ((9,), "u"), "csr/layers": None, "csr/layers/counts": ((9,), "f")}


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({}, []),
        ({"csr/indices": ((9, 1), "i")}, ["expected ndim 1, found 2", "expected dtype kind 'u', found 'i'", "differs"]),
        ({"csr/indices": None}, ["'csr/indices' must be an array, found a group"]),
        ({"csr/layers/raw": ((9,), "f")}, ["unknown layer 'csr/layers/raw'"]),
        ({"csr/layers/tpm": ((8,), "f")}, ["different shapes", "shape (8,) differs from (9,) of 'csr/indices'"]),
    ],
)
def test_a_group_is_checked_against_its_spec(change: dict, faults: list[str]) -> None:
    found = get_spec("gene_expression").validate_group(FakeGroup(GOOD | change))
    assert len(found) == len(faults), found
    assert all(expected in fault for expected, fault in zip(faults, found, strict=True))


def test_missing_parts_of_a_group_are_told() -> None:
    assert get_spec("gene_expression").validate_group(FakeGroup({})) == [
        "missing required array 'csr/indices'",
        "missing layers group 'csr/layers'",
    ]
    without_counts = {k: v for k, v in GOOD.items() if not k.endswith("counts")}
    assert get_spec("gene_expression").validate_group(FakeGroup(without_counts)) == [
        "missing required layer 'csr/layers/counts'"
    ]


def test_a_group_opened_by_zarr_python_is_checked_too() -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w", zarr_format=3)
    group.create_array("csr/indices", shape=(4,), dtype="uint32")
    spec = get_spec("gene_expression")
    assert spec.validate_group(group) == ["missing layers group 'csr/layers'"]
    group.create_array("csr/layers/counts", shape=(4,), dtype="float32")
    assert spec.validate_group(group) == []


def test_specs_of_users() -> None:
    spec = ZarrGroupSpec(
        feature_space="test_spatial",
        pointer_kind=PointerKind.DENSE,
        required_arrays=[ArraySpec(array_name="xy", dtype_kind=DTypeKind.FLOAT, ndim=2)],
        layers=LayersSpec(prefix="p"),
    )
    register_spec(spec)
    assert get_spec("test_spatial") is spec
    assert spec.validate_group(FakeGroup({"xy": ((3, 2), "f")})) == []
    with pytest.raises(InvalidArgumentError):
        register_spec(spec)


def test_classes_of_a_notebook_reach_other_processes(tmp_path: Path) -> None:
    """As cloudpickle takes them there for Dask: by value, since nobody can import them."""
    cloudpickle = pytest.importorskip("cloudpickle")

    class Cell(HoxBaseSchema):
        gene_expression: SparseZarrPointer | None = None
        stage: str | None = column(categories=["early", "late"], ordered=True)

    class Gene(FeatureBaseSchema):
        symbol: str

    (tmp_path / "classes").write_bytes(cloudpickle.dumps((Cell, Gene, tmp_path / "atlas")))
    script = """
        import pickle, sys
        from pathlib import Path

        cell, gene, folder = pickle.loads(Path(sys.argv[1]).read_bytes())
        import homeobox as hox

        atlas = hox.create_or_open_atlas(
            folder, "cells", cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": gene}
        )
        atlas.register_features("gene_expression", [gene(uid="a", symbol="b")])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), tmp_path / "classes"], check=True, timeout=90)
    atlas = hox.create_or_open_atlas(
        tmp_path / "atlas", "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Gene}
    )
    assert atlas.feature_registry("gene_expression")["symbol"].to_list() == ["b"]
    assert "homeobox.categories" in str(atlas.catalog.cells_schema.field("stage").metadata)


def test_a_class_without_any_field_is_refused() -> None:
    with pytest.raises(TypeError, match="Nothing must declare at least one"):

        class Nothing(HoxBaseSchema):
            pass
