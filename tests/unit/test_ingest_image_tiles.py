"""Images of cells: any array of rows, streamed in blocks, equal when read back; and feature spaces of the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

import homeobox as hox
import homeobox.codecs  # registers our codecs in zarr-python
from homeobox import _core
from homeobox.errors import HomeoboxError, InvalidArgumentError, UnsupportedError
from homeobox.ingest import image_tiles
from homeobox.schema import (
    ArraySpec,
    DenseZarrPointer,
    DTypeKind,
    PointerKind,
    SparseZarrPointer,
    registered_feature_spaces,
)

MASKED = "test_masked_volumes"
if MASKED not in registered_feature_spaces():
    hox.register_spec(
        hox.ZarrGroupSpec(
            feature_space=MASKED,
            pointer_kind=PointerKind.DENSE,
            required_arrays=[
                ArraySpec(array_name="volume/raw", dtype_kind=DTypeKind.FLOAT, ndim=5),
                ArraySpec(array_name="volume/mask", dtype_kind=DTypeKind.UNSIGNED_INTEGER),
            ],
        )
    )


class Cell(hox.HoxBaseSchema):
    image_tiles: DenseZarrPointer | None = None
    test_masked_volumes: DenseZarrPointer | None = None
    chromatin_accessibility: SparseZarrPointer | None = None
    image_features: DenseZarrPointer | None = None
    label: str | None = None


def new_atlas(folder: Path) -> hox.RaggedAtlas:
    return hox.create_or_open_atlas(folder, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={})


def add(atlas: hox.RaggedAtlas, array: object, n: int, group: str = "plate/tiles", **options: object) -> int:
    space = options.get("feature_space", "image_tiles")
    record = hox.DatasetRecord(zarr_group=group, feature_space=space, n_cells=n)
    return hox.add_image_tiles(atlas, array, **{"dataset_record": record, **options})


@pytest.mark.parametrize("codec", ["bp128", "bitpacking"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u4", "uint64"])
def test_tiles_come_back_as_they_were(tmp_path, rng, dtype, codec):
    tiles = rng.integers(0, 256, (37, 3, 8, 9)).astype(dtype)
    tiles[5] = 0
    atlas = new_atlas(tmp_path)
    assert add(atlas, tiles, 37, obs=pd.DataFrame({"label": [f"cell {i}" for i in range(37)]}), codec=codec) == 37
    atlas.snapshot()
    snapshot = hox.RaggedAtlas.checkout_latest(tmp_path)
    assert snapshot.validate() == []
    pointers = snapshot.catalog.scan_cells(["image_tiles", "label"]).to_pylist()
    assert [row["image_tiles"] for row in pointers] == [
        {"feature_space": "image_tiles", "zarr_group": "plate/tiles", "position": i} for i in range(37)
    ]
    values, _ = hox.ShardReader((tmp_path / "zarr_store", "plate/tiles/data")).read_ranges([30, 2], [37, 3])
    np.testing.assert_array_equal(values, tiles[[*range(30, 37), 2]])
    stored = zarr.open_array(tmp_path / "zarr_store", path="plate/tiles/data", mode="r")
    assert stored.dtype == tiles.dtype.newbyteorder("=")
    np.testing.assert_array_equal(stored[:], tiles)


def test_an_array_of_zarr_is_streamed_in_whole_chunks(tmp_path, rng, monkeypatch):
    tiles = rng.integers(0, 60_000, (50, 2, 16, 16)).astype(np.uint16)
    source = zarr.create_array({}, shape=tiles.shape, dtype=tiles.dtype, chunks=(8, 2, 16, 16))
    source[:] = tiles
    monkeypatch.setattr(image_tiles, "_BLOCK_BYTES", 20 * tiles[0].nbytes)
    slices = []

    class Watched:
        shape, dtype, chunks = source.shape, source.dtype, source.chunks

        def __getitem__(self, rows: slice) -> np.ndarray:
            slices.append((rows.start, rows.stop))
            return source[rows]

    assert add(new_atlas(tmp_path), Watched(), 50) == 50
    assert slices == [(0, 16), (16, 32), (32, 48), (48, 50)]
    stored, _ = hox.ShardReader((tmp_path / "zarr_store", "plate/tiles/data")).read_ranges([0], [50])
    np.testing.assert_array_equal(stored, tiles)


def test_a_space_of_the_users_with_several_arrays(tmp_path, rng):
    volume = rng.normal(size=(6, 1, 3, 4, 5)).astype(np.float32)
    mask = rng.integers(0, 2, (6, 4, 5)).astype(np.uint8)
    atlas = new_atlas(tmp_path)
    arrays = {"volume/mask": mask, "volume/raw": volume}
    assert add(atlas, arrays, 6, feature_space=MASKED) == 6
    assert atlas.validate() == []
    group = zarr.open_group(tmp_path / "zarr_store", path="plate/tiles/volume", mode="r")
    np.testing.assert_array_equal(group["raw"][:], volume)
    np.testing.assert_array_equal(group["mask"][:], mask)


def test_every_store_call_may_fail(tmp_path):
    atlas, tiles = new_atlas(tmp_path), np.arange(96, dtype=np.uint8).reshape(4, 2, 3, 4)
    healthy, n_failures = atlas.catalog.store, 0
    while True:
        atlas.catalog.store = _core.FailingStore(healthy, fail_on=n_failures + 1)
        try:
            add(atlas, tiles, 4)
            break
        except HomeoboxError:
            n_failures += 1
            assert atlas.catalog.count_cells() == 0
        finally:
            atlas.catalog.store = healthy
    assert n_failures > 8
    np.testing.assert_array_equal(_core.Array.open(healthy, "plate/tiles/data").read_all(), tiles)


def test_a_source_that_gives_other_rows_than_it_promised_leaves_nothing(tmp_path):
    class Liar:
        shape, dtype = (4, 1, 2, 2), np.dtype(np.uint8)

        def __getitem__(self, rows: slice) -> np.ndarray:
            return np.zeros((3, 1, 2, 2), np.uint8)

    atlas = new_atlas(tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"rows 0 to 4 have the shape \(3, 1, 2, 2\)"):
        add(atlas, Liar(), 4)
    assert {key for key, _ in atlas.catalog.store.list("plate/")} == {"plate/zarr.json"}
    assert atlas.list_datasets().is_empty()


TILES = np.ones((4, 1, 2, 2), np.uint8)


@pytest.mark.parametrize(
    ("array", "options", "error", "message"),
    [
        (TILES[0], {}, InvalidArgumentError, r"4 axes expected, cells first, found shape \(1, 2, 2\)"),
        (TILES.astype(np.int16), {}, InvalidArgumentError, "dtype kind 'u' expected, found int16"),
        (TILES.astype(bool), {}, InvalidArgumentError, "dtype kind 'u' expected, found bool"),
        (TILES.astype(str), {}, InvalidArgumentError, "expected integers or floats"),
        (TILES[:0], {}, InvalidArgumentError, r"\(0, 1, 2, 2\) is empty"),
        (TILES[:3], {}, InvalidArgumentError, "n_cells = 4, but the array has 3 rows"),
        (TILES.tolist(), {}, InvalidArgumentError, "found list"),
        ({"pixels": TILES}, {}, InvalidArgumentError, r"needs \['data'\], found \['pixels'\]"),
        (TILES, {"obs": pd.DataFrame({"label": ["a"]})}, InvalidArgumentError, "of 4 rows, found 1 rows"),
        (TILES, {"obs": pd.DataFrame({"label": [1] * 4})}, InvalidArgumentError, "column 'label'"),
        (TILES, {"chunk_shape": (1, 1, 1, 2)}, InvalidArgumentError, "only the first axis may be cut"),
        (TILES, {"chunk_shape": (1,)}, InvalidArgumentError, "chunk_shape"),
        (TILES, {"feature_space": "image_features"}, UnsupportedError, "add_from_anndata takes it"),
        (TILES, {"feature_space": "chromatin_accessibility"}, UnsupportedError, "not one of dense arrays"),
        (TILES, {"feature_space": "gene_expression"}, InvalidArgumentError, "no pointer field"),
        ({"volume/raw": TILES}, {"feature_space": MASKED}, InvalidArgumentError, "volume/mask"),
    ],
)
def test_refused_before_anything_is_written(tmp_path, array, options, error, message):
    atlas = new_atlas(tmp_path)
    before = atlas.catalog.store.list("")
    with pytest.raises(error, match=message):
        add(atlas, array, 4, **options)
    assert atlas.catalog.store.list("") == before
    assert atlas.catalog.count_cells() == 0
