"""``validate(deep=True)`` finds whatever was damaged, tells of all of it, and raises nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, empty_atlas

import homeobox as hox
from homeobox.schema import DenseZarrPointer, SparseZarrPointer

UIDS = [f"gene{i}" for i in range(40)]
PROTEINS = [f"protein{i}" for i in range(4)]


@pytest.fixture
def atlas(tmp_path: Path, rng: np.random.Generator) -> hox.RaggedAtlas:
    """Two sparse datasets, one with a feature-major copy, and a dense one; recorded."""
    atlas = empty_atlas(tmp_path, {"gene_expression": UIDS, "protein_abundance": PROTEINS})
    obs = pd.DataFrame({"label": ["a"] * 30, "number": range(30)})
    counts = sp.csr_matrix(rng.poisson(0.4, (30, 40)).astype(np.int32))
    add(atlas, Dataset("first", counts, UIDS, obs))
    add(atlas, Dataset("second", counts[::-1].tocsr(), UIDS[::-1], obs))
    dense = rng.random((30, 4)).astype(np.float32)
    add(atlas, Dataset("dense", dense, PROTEINS, obs, space="protein_abundance"))
    hox.add_csc(atlas, "first", "gene_expression")
    atlas.optimize()
    atlas.snapshot("sound")
    return atlas


def deep_faults(atlas: hox.RaggedAtlas) -> str:
    assert atlas.validate() == []
    return "\n".join(atlas.validate(deep=True))


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x40
    path.write_bytes(content)


def test_a_sound_atlas_has_no_faults(atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    assert atlas.validate(deep=True) == []
    assert hox.RaggedAtlas.checkout(tmp_path, "sound").validate(deep=True) == []


def test_every_flipped_byte_of_an_array_is_found(atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    for array in ("first/csr/indices", "first/csc/layers/counts", "dense/layers/counts"):
        path = tmp_path / "zarr_store" / array / "c"
        shard = next(p for p in path.rglob("*") if p.is_file())
        flip(shard, shard.stat().st_size // 3)
    faults = deep_faults(atlas)
    for array in ("first/csr/indices", "first/csc/layers/counts", "dense/layers/counts"):
        assert f"object '{array}/c/" in faults
        assert f"array '{array.partition('/')[2]}': " in faults


def test_lost_and_foreign_objects_are_found(atlas: hox.RaggedAtlas) -> None:
    store = atlas.catalog.store
    store.remove("second/csr/layers/counts/c/0")
    store.write("first/csr/indptr/c/7", b"foreign")
    faults = deep_faults(atlas)
    assert "zarr group 'second': object 'second/csr/layers/counts/c/0' is missing" in faults
    assert "object 'first/csr/indptr/c/7' lies in an array of the manifest, which does not list it" in faults


def test_a_damaged_manifest_is_found(atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    flip(tmp_path / "zarr_store" / "first" / ".hox-manifest", 60)
    assert "zarr group 'first': could not be checked, CorruptDataError" in deep_faults(atlas)


def change_cells(atlas: hox.RaggedAtlas, change: Callable[[list[dict]], None], group: str) -> None:
    """Give the cells of a group other pointers, as a careless script would."""
    table = atlas.catalog.cells.table
    space = "protein_abundance" if group == "dense" else "gene_expression"
    rows = [row for row in table.scan().to_pylist() if row[space]["zarr_group"] == group]
    pointers = [row[space] for row in rows]
    change(pointers)
    table.delete(f"{space}.zarr_group = '{group}'")
    table.append(pa.Table.from_pylist(rows, schema=table.schema))


def shift(pointers: list[dict]) -> None:
    pointers[3]["start"] -= 1


def leave(pointers: list[dict]) -> None:
    pointers[-1]["end"] += 10**6


def repeat(pointers: list[dict]) -> None:
    pointers[0]["zarr_row"] = pointers[1]["zarr_row"]


def lose(pointers: list[dict]) -> None:
    pointers[0]["zarr_group"] = "elsewhere"


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (shift, ["the elements of 1 cell(s) overlap", "1 cell(s) point elsewhere than 'csr/indptr' says"]),
        (leave, ["1 cell(s) point outside the"]),
        (repeat, ["1 cell(s) repeat a zarr_row"]),
        (
            lose,
            ["1 cell(s) point to zarr group 'elsewhere', which no dataset", "29 cell(s) point to zarr group 'second'"],
        ),
    ],
)
def test_changed_pointers_are_found(
    atlas: hox.RaggedAtlas, change: Callable[[list[dict]], None], messages: list[str]
) -> None:
    change_cells(atlas, change, "second")
    faults = "\n".join(atlas.validate(deep=True))
    for message in messages:
        assert message in faults
    # Only that there is no dataset row shows without reading each pointer.
    shallow = ["datasets: cells point to 1 zarr group(s) without a dataset row. First 5: ['elsewhere']"]
    assert atlas.validate() == (shallow if change is lose else [])


def test_changed_dense_pointers_are_found(atlas: hox.RaggedAtlas) -> None:
    def change(pointers: list[dict]) -> None:
        pointers[0]["position"] = 30
        pointers[1]["position"] = 2

    change_cells(atlas, change, "dense")
    faults = deep_faults(atlas)
    assert "1 cell(s) point outside the 30 rows, the first to row 30" in faults
    assert "1 cell(s) point to a row that another cell points to" in faults


def test_damage_to_recorded_tables_is_found(atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    tables = tmp_path / "lance_db"
    add(atlas, Dataset("third", sp.csr_matrix(np.eye(3, 40, dtype=np.int32)), UIDS, obs_of(3)))
    atlas.optimize()  # so that the latest state has files of its own
    atlas.snapshot("later")
    recorded = atlas.catalog.versions.notes
    first, later = (set(recorded.files(t)) for t in hox.RaggedAtlas.list_versions(tmp_path)["created_at"])
    only_first = sorted(path for path in first - later if path.startswith("cells.lance/data/"))
    flip(tables / only_first[0], 40)
    faults = atlas.validate(deep=True)
    assert faults == [f"snapshot 0: file '{only_first[0]}' does not have the content that was recorded"]
    (tables / only_first[0]).unlink()
    faults = atlas.validate(deep=True)
    assert faults == [f"snapshot 0: file '{only_first[0]}' of a recorded table version is gone"]
    assert hox.RaggedAtlas.checkout(tmp_path, "later").validate(deep=True) == []


def obs_of(n_cells: int) -> pd.DataFrame:
    return pd.DataFrame({"label": ["a"] * n_cells, "number": range(n_cells)})


def test_tables_that_cannot_be_read_are_faults_not_errors(atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    opened = hox.RaggedAtlas.open(tmp_path, "cells")
    for name in ("cells", "datasets", "_feature_layouts", "gene_expression_registry"):
        for path in (tmp_path / "lance_db" / f"{name}.lance" / "data").iterdir():
            path.write_bytes(b"\0" * path.stat().st_size)
    faults = opened.validate(deep=True)
    assert any(fault.startswith("datasets: could not be checked") for fault in faults)
    assert any("does not have the content that was recorded" in fault for fault in faults)


class Chromosome(hox.FeatureBaseSchema):
    sequence_name: str


class CellWithImage(hox.HoxBaseSchema):
    image_tiles: DenseZarrPointer | None = None
    chromatin_accessibility: SparseZarrPointer | None = None


def test_groups_that_are_no_matrices(tmp_path: Path, rng: np.random.Generator) -> None:
    """Fragments and images: sound when they are, and damage is found."""
    space = "chromatin_accessibility"
    atlas = hox.create_or_open_atlas(
        tmp_path, "cells", CellWithImage, "datasets", hox.DatasetRecord, registry_schemas={space: Chromosome}
    )
    atlas.register_features(space, [Chromosome(uid=f"chr{i}", sequence_name=f"chr{i}") for i in range(3)])
    starts = rng.integers(0, 1000, 90)
    frame = pl.DataFrame(
        {
            "chrom": [f"chr{i % 3}" for i in range(90)],
            "start": starts,
            "end": starts + 50,
            "barcode": [f"cell{i % 7}" for i in range(90)],
        }
    )
    record = hox.DatasetRecord(zarr_group="atac", feature_space=space, n_cells=7)
    hox.add_fragments(atlas, frame, dataset_record=record)
    tiles = rng.integers(0, 255, (5, 2, 4, 4), dtype=np.uint8)
    record = hox.DatasetRecord(zarr_group="tiles", feature_space="image_tiles", n_cells=5)
    hox.add_image_tiles(atlas, tiles, dataset_record=record)
    atlas.optimize()
    atlas.snapshot()
    assert atlas.validate(deep=True) == []
    for array in ("atac/cell_sorted/starts", "tiles/data"):
        shard = next(p for p in (tmp_path / "zarr_store" / array / "c").rglob("*") if p.is_file())
        flip(shard, shard.stat().st_size // 3)
    faults = deep_faults(atlas)
    assert "object 'atac/cell_sorted/starts/c/" in faults
    assert "object 'tiles/data/c/" in faults
