"""An ingest of fragments that fails anywhere leaves nothing, and the same call works again."""

from __future__ import annotations

import polars as pl

import homeobox as hox
from homeobox import _core
from homeobox.errors import HomeoboxError
from homeobox.schema import SparseZarrPointer

SPACE = "chromatin_accessibility"


class Cell(hox.HoxBaseSchema):
    chromatin_accessibility: SparseZarrPointer | None = None


def test_every_store_call_may_fail(tmp_path):
    atlas = hox.create_or_open_atlas(
        tmp_path, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={SPACE: hox.FeatureBaseSchema}
    )
    atlas.register_features(SPACE, [hox.FeatureBaseSchema(uid="chr1")])
    frame = pl.DataFrame({"chrom": ["chr1"] * 3, "barcode": ["a", "b", "a"], "start": [5, 6, 7], "end": [9, 9, 9]})
    record = hox.DatasetRecord(zarr_group="atac", feature_space=SPACE, n_cells=2)
    healthy = atlas.catalog.store
    n_failures = 0
    while True:
        atlas.catalog.store = _core.FailingStore(healthy, fail_on=n_failures + 1)
        try:
            hox.add_fragments(atlas, frame, dataset_record=record)
            break
        except HomeoboxError:
            n_failures += 1
            assert atlas.catalog.count_cells() == 0
            assert atlas.list_datasets().is_empty()
        finally:
            atlas.catalog.store = healthy
    assert n_failures > 20
    atlas.optimize()
    atlas.snapshot()
    found = hox.RaggedAtlas.checkout_latest(tmp_path).query().to_fragments()
    assert (found.starts.tolist(), found.offsets.tolist()) == ([5, 7, 6], [0, 2, 3])
