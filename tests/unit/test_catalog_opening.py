"""Creating and opening atlases, and refusing to."""

import os
import shutil
from pathlib import Path

import obstore.store
import pyarrow as pa
import pytest
from lancedb.pydantic import Vector

import homeobox as hox
from homeobox import _core
from homeobox.errors import ConflictError, HomeoboxError, NotFoundError
from homeobox.schema import DenseZarrPointer, HoxBaseSchema, SparseZarrPointer


def tree(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def create(path: Path, cell_class: type, gene_class: type, **options: object) -> hox.RaggedAtlas:
    return hox.RaggedAtlas.create(
        path,
        "cells",
        cell_class,
        "datasets",
        hox.DatasetRecord,
        registry_schemas={"gene_expression": gene_class},
        **options,
    )


def test_a_new_atlas_has_the_tables_of_the_format(empty_atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    root = tmp_path / "atlas"
    assert sorted(os.listdir(root)) == ["lance_db", "zarr_store"]
    assert sorted(os.listdir(root / "lance_db")) == [
        "_feature_layouts.lance",
        "atlas_versions.lance",
        "cells.lance",
        "datasets.lance",
        "gene_expression_registry.lance",
    ]
    assert sorted(tree(root / "zarr_store")) == ["zarr.json"]
    assert empty_atlas.db.open_table("cells").count_rows() == 0
    assert empty_atlas.cell_table.schema.names == ["uid", "dataset_uid", "gene_expression"]
    for table in (empty_atlas.catalog.cells.table, empty_atlas.catalog.versions.table):
        assert table.dataset.data_storage_version == "2.1"


def test_an_atlas_opens_again(empty_atlas: hox.RaggedAtlas, tmp_path: Path, cell_class: type, gene_class: type) -> None:
    before = tree(tmp_path)
    again = hox.create_or_open_atlas(
        f"{tmp_path}/atlas/lance_db/",
        "cells",
        cell_class,
        "datasets",
        hox.DatasetRecord,
        registry_schemas={"gene_expression": gene_class, "protein_abundance": gene_class},
    )
    assert list(again.catalog.registries) == ["gene_expression"]
    opened = hox.RaggedAtlas.open(tmp_path / "atlas", "cells")
    assert list(opened.catalog.registries) == ["gene_expression"]
    assert list(opened.pointer_fields) == ["gene_expression"]
    assert (opened.cell_schema, again.cell_schema) == (None, cell_class)
    assert tree(tmp_path) == before


def test_a_place_that_is_not_empty_is_refused(tmp_path: Path, cell_class: type, gene_class: type) -> None:
    (tmp_path / "zarr_store" / "mine").mkdir(parents=True)
    (tmp_path / "zarr_store" / "mine" / "data").write_text("precious")
    before = tree(tmp_path)
    for error in (ConflictError, FileExistsError, ValueError):
        with pytest.raises(error, match=r"zarr_store is not empty, it holds 1 object\(s\), the first is 'mine/data'"):
            create(tmp_path, cell_class, gene_class)
    with pytest.raises(HomeoboxError, match="Nothing was changed"):
        hox.create_or_open_atlas(tmp_path, "cells", cell_class, "datasets", hox.DatasetRecord, registry_schemas={})
    assert tree(tmp_path) == before
    assert not (tmp_path / "lance_db").exists()


def test_an_atlas_is_not_created_over_another(
    empty_atlas: hox.RaggedAtlas, tmp_path: Path, cell_class: type, gene_class: type
) -> None:
    before = tree(tmp_path)
    with pytest.raises(FileExistsError, match=r"its lance_db is not empty, it holds table\(s\) \['_feature_layouts'"):
        create(tmp_path / "atlas", cell_class, gene_class)
    with pytest.raises(FileExistsError, match=r"no cell table 'other_cells' to open.* \['_feature_layouts'"):
        hox.create_or_open_atlas(
            tmp_path / "atlas", "other_cells", cell_class, "datasets", hox.DatasetRecord, registry_schemas={}
        )
    shutil.rmtree(tmp_path / "atlas" / "lance_db")
    with pytest.raises(FileExistsError, match="is not empty"):
        hox.create_or_open_atlas(
            tmp_path / "atlas", "cells", cell_class, "datasets", hox.DatasetRecord, registry_schemas={}
        )
    assert "atlas/zarr_store/zarr.json" in before
    assert (tmp_path / "atlas" / "zarr_store" / "zarr.json").exists()


def test_other_files_beside_the_atlas_do_no_harm(tmp_path: Path, cell_class: type, gene_class: type) -> None:
    (tmp_path / "README.md").write_text("mine")
    create(tmp_path, cell_class, gene_class)
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("call", ["checkout", "checkout_latest", "restore", "list_versions", "open"])
def test_what_is_no_atlas_is_told(tmp_path: Path, call: str) -> None:
    arguments = {"checkout": (0,), "restore": (0,), "open": ("cells",)}.get(call, ())
    for error in (FileNotFoundError, NotFoundError):
        with pytest.raises(error, match=f"No atlas found at '{tmp_path}/nothing'"):
            getattr(hox.RaggedAtlas, call)(tmp_path / "nothing", *arguments)
    assert not (tmp_path / "nothing").exists()


def test_tables_that_are_missing_are_named(empty_atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    root = tmp_path / "atlas"
    with pytest.raises(ValueError, match="table 'nope' was not found in"):
        hox.RaggedAtlas.open(root, "nope")
    with pytest.raises(ValueError, match="table 'nope' was not found in"):
        hox.RaggedAtlas.open(root, "cells", version_table_name="nope")
    with pytest.raises(NotFoundError, match="table 'protein_abundance_registry' was not found"):
        hox.RaggedAtlas.open(root, "cells", registry_tables={"protein_abundance": "protein_abundance_registry"})


def test_lost_arrays_are_told(empty_atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "atlas" / "zarr_store")
    with pytest.raises(FileNotFoundError, match=r"No arrays found .* has no zarr\.json\. Pass store="):
        hox.RaggedAtlas.open(tmp_path / "atlas", "cells")


class Tissue(HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    tissue: str | None = None


class TissueNumber(HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
    tissue: int | None = None


class Protein(HoxBaseSchema):
    protein_abundance: DenseZarrPointer | None = None


class DenseGenes(HoxBaseSchema):
    gene_expression: DenseZarrPointer | None = None


class Required(Tissue):
    donor: str = ""
    embedding: Vector(3)


@pytest.mark.parametrize(
    ("stored", "opened_with", "message"),
    [
        (Tissue, Required, "has no column 'donor' of schema class Required; it has"),
        (Tissue, TissueNumber, "column 'tissue' is string, but schema class TissueNumber says int64"),
        (Tissue, Protein, "has no column 'protein_abundance' of schema class Protein"),
        (Tissue, DenseGenes, "column 'gene_expression' is struct"),
        (Required, Tissue, "column 'donor' may not be null and is not in schema class Tissue"),
        (Tissue, dict, "cell_schema must be a subclass of HoxBaseSchema"),
    ],
)
def test_a_wrong_schema_class_is_told_by_column(
    tmp_path: Path, gene_class: type, stored: type, opened_with: type, message: str
) -> None:
    create(tmp_path, stored, gene_class).snapshot()
    for error in (TypeError, ValueError):
        with pytest.raises(error, match=message):
            hox.RaggedAtlas.open(tmp_path, "cells", opened_with)
        with pytest.raises(error, match=message):
            hox.RaggedAtlas.checkout_latest(tmp_path, opened_with)
    assert hox.RaggedAtlas.checkout_latest(tmp_path, stored).cell_schema is stored


def test_a_class_may_leave_out_columns_that_can_be_null(tmp_path: Path, gene_class: type, cell_class: type) -> None:
    create(tmp_path, Tissue, gene_class)
    assert list(hox.RaggedAtlas.open(tmp_path, "cells", cell_class).pointer_fields) == ["gene_expression"]


def test_classes_are_checked_before_anything_is_made(tmp_path: Path, cell_class: type, gene_class: type) -> None:
    path = tmp_path / "new"
    wrong = [
        (dict, hox.DatasetRecord, {}, TypeError, "cell_schema must be a subclass of HoxBaseSchema"),
        (DenseGenes, hox.DatasetRecord, {}, TypeError, "pointer 'gene_expression' is dense, but feature space"),
        (cell_class, dict, {}, TypeError, "dataset_schema must be a subclass of DatasetRecord"),
        (cell_class, hox.DatasetRecord, {"gene_expression": dict}, TypeError, r"registry_schemas\['gene_expression'\]"),
        (cell_class, hox.DatasetRecord, {"nope": gene_class}, KeyError, "unknown feature space 'nope'"),
    ]
    for cells, datasets, registries, error, message in wrong:
        with pytest.raises(error, match=message):
            hox.create_or_open_atlas(path, "cells", cells, "datasets", datasets, registry_schemas=registries)
    for cells, datasets in (
        ("datasets", "datasets"),
        ("", "datasets"),
        ("a/b", "datasets"),
        ("cells", "atlas_versions"),
    ):
        with pytest.raises(ValueError, match="table names must be distinct and plain"):
            hox.create_or_open_atlas(path, cells, cell_class, datasets, hox.DatasetRecord, registry_schemas={})
    assert not path.exists()


def test_vectors_of_lancedb_become_columns(tmp_path: Path, gene_class: type) -> None:
    atlas = create(tmp_path, Required, gene_class)
    assert atlas.catalog.cells_schema.field("embedding").type == pa.list_(pa.float32(), 3)
    assert hox.RaggedAtlas.open(tmp_path, "cells", Required).cell_schema is Required


def test_a_store_of_the_users_own(tmp_path: Path, cell_class: type, gene_class: type) -> None:
    # The tables may even lie inside the directory of the arrays.
    store = obstore.store.LocalStore(str(tmp_path))
    atlas = create(tmp_path / "atlas.lancedb", cell_class, gene_class, store=store)
    assert isinstance(atlas.catalog.store, _core.FileStore)
    assert (tmp_path / "zarr.json").exists()
    assert (tmp_path / "atlas.lancedb" / "lance_db" / "cells.lance").is_dir()
    atlas.snapshot()
    assert hox.RaggedAtlas.list_versions(tmp_path / "atlas.lancedb")["zarr_store_uri"].to_list() == [
        f"file://{tmp_path}"
    ]
    assert hox.RaggedAtlas.checkout_latest(tmp_path / "atlas.lancedb").catalog.store_uri == f"file://{tmp_path}"
    assert hox.RaggedAtlas.open(tmp_path / "atlas.lancedb", "cells", store=store).catalog.cells.table.count() == 0


def test_arrays_in_memory(tmp_path: Path, cell_class: type, gene_class: type) -> None:
    store = obstore.store.MemoryStore()
    create(tmp_path, cell_class, gene_class, store=store).snapshot()
    assert hox.RaggedAtlas.list_versions(tmp_path)["zarr_store_uri"].to_list() == ["memory://"]
    assert hox.RaggedAtlas.checkout_latest(tmp_path, None, store).version == 0
    with pytest.raises(ValueError, match="arrays in memory end with their process"):
        hox.RaggedAtlas.checkout_latest(tmp_path)


def test_atlas_tells_what_it_holds(described_atlas: hox.RaggedAtlas, capsys: pytest.CaptureFixture[str]) -> None:
    text = repr(described_atlas)
    assert "writable; snapshots: none" in text
    assert "cells: 20" in text
    assert "gene_expression (60 features, sparse)" in text
    described_atlas.snapshot()
    assert "snapshots: 0" in repr(described_atlas)
    html = described_atlas._repr_html_()
    assert "<b>RaggedAtlas</b>" in html
    schemas = described_atlas.schemas
    assert schemas.splitlines()[:2] == ["Atlas tables:", "  Cell table ('cells', 20 rows)"]
    assert "  Registry [gene_expression] ('gene_expression_registry', 60 rows)" in schemas
    assert capsys.readouterr().out == schemas + "\n"


def test_reopening_opens_every_registry_and_checks_the_classes(
    described_atlas: hox.RaggedAtlas, cell_class: type, gene_class: type
) -> None:
    root = described_atlas.catalog.location.root

    def reopen(dataset_class: object = hox.DatasetRecord, **registries: object) -> hox.RaggedAtlas:
        return hox.create_or_open_atlas(
            root, "cells", cell_class, "datasets", dataset_class, registry_schemas=registries
        )

    assert list(reopen().catalog.registries) == ["gene_expression"]
    with pytest.raises(KeyError, match="unknown feature space 'gene_expresion'"):
        reopen(gene_expresion=gene_class)
    with pytest.raises(TypeError, match="dataset_schema must be a subclass of DatasetRecord"):
        reopen(int)
    with pytest.raises(TypeError, match="must be a subclass of FeatureBaseSchema"):
        reopen(gene_expression=int)

    class Other(hox.FeatureBaseSchema):
        length: int

    with pytest.raises(TypeError, match="column 'length' of the row class is int64, the table has none"):
        reopen(gene_expression=Other)
    described_atlas.catalog.registries.clear()
    assert "Registry 'gene_expression': there is none, but datasets have features of it" in described_atlas.validate()


def test_a_file_is_no_place_for_an_atlas(tmp_path: Path, cell_class: type, gene_class: type) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileExistsError, match=r"/file' is a file, not a directory"):
            create(path, cell_class, gene_class)
        with pytest.raises(FileNotFoundError, match=r"/file' is a file"):
            hox.RaggedAtlas.open(path, "cells")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_mistyped_table_lists_those_that_exist(empty_atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"table 'cell' was not found in .* which has \['_feature_layouts', .*'cells'"):
        hox.RaggedAtlas.open(tmp_path / "atlas", "cell")


def test_registries_are_none_or_a_mapping(tmp_path: Path, cell_class: type) -> None:
    arguments = ("cells", cell_class, "datasets", hox.DatasetRecord)
    with pytest.raises(TypeError, match="registry_schemas must map feature spaces to classes, found 'gene_expression'"):
        hox.create_or_open_atlas(tmp_path / "a", *arguments, registry_schemas="gene_expression")
    assert hox.create_or_open_atlas(tmp_path / "a", *arguments, registry_schemas=None).catalog.registries == {}
