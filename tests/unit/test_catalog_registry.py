"""Registries: registering features, indexing them, resolving uids."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from described_dataset import add_described_dataset
from lance.dataset import MergeInsertBuilder

import homeobox as hox
from homeobox.catalog import Registry
from homeobox.errors import InvalidArgumentError, NotFoundError
from homeobox.schema import SparseZarrPointer


class Gene(hox.FeatureBaseSchema):
    symbol: str
    length: int | None = None


class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None


@pytest.fixture
def atlas(tmp_path: Path) -> hox.RaggedAtlas:
    return hox.create_or_open_atlas(
        tmp_path, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Gene}
    )


@pytest.fixture
def registry(atlas: hox.RaggedAtlas) -> Registry:
    return atlas.catalog.registry("gene_expression")


def genes(*uids: str) -> list[Gene]:
    return [Gene(uid=uid, symbol=uid.upper()) for uid in uids]


def test_registering_is_idempotent(atlas: hox.RaggedAtlas) -> None:
    assert atlas.register_features("gene_expression", genes("b", "a", "b")) == 2
    assert atlas.register_features("gene_expression", genes("a", "c")) == 1
    assert atlas.register_features("gene_expression", genes("a", "c")) == 0
    assert atlas.register_features("gene_expression", []) == 0
    frame = atlas.feature_registry("gene_expression")
    assert frame.columns == ["uid", "global_index", "symbol", "length"]
    assert frame["uid"].to_list() == ["a", "b", "c"]
    assert frame["global_index"].to_list() == [None, None, None]


def test_a_known_feature_keeps_its_columns(atlas: hox.RaggedAtlas) -> None:
    atlas.register_features("gene_expression", [Gene(uid="a", symbol="first")])
    atlas.register_features("gene_expression", [Gene(uid="a", symbol="second"), Gene(uid="b", symbol="B")])
    assert atlas.feature_registry("gene_expression")["symbol"].to_list() == ["first", "B"]


def test_frames_are_registered_too(atlas: hox.RaggedAtlas) -> None:
    frame = pl.DataFrame({"uid": ["x", "y", "x"], "symbol": ["X", "Y", "Z"]})
    assert atlas.register_features("gene_expression", frame) == 2
    assert atlas.register_features("gene_expression", frame.head(0)) == 0
    assert atlas.feature_registry("gene_expression").select("uid", "symbol", "length").rows() == [
        ("x", "X", None),
        ("y", "Y", None),
    ]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (pl.DataFrame({"symbol": ["X"]}), "the frame has no 'uid' column"),
        (pl.DataFrame({"uid": ["x"], "symbol": ["X"], "chrom": ["1"]}), r"unknown column\(s\) \['chrom'\]"),
        (pl.DataFrame({"uid": ["x"]}), "column 'symbol' is missing, but it may not be null"),
        (pl.DataFrame({"uid": ["x", None], "symbol": ["X", "Y"]}), r"column 'uid' has 1 empty value\(s\)"),
        (pl.DataFrame({"uid": ["x"], "symbol": ["X"], "length": ["long"]}), "column 'length' must be int64"),
        ([Gene(uid="", symbol="X")], "a feature has an empty uid"),
        (["CD3D"], "FeatureBaseSchema objects or a polars frame, found str"),
        (pd.DataFrame({"uid": ["x"]}), "a polars frame, found a pandas.DataFrame; features_from_var"),
        ([*genes("x"), Gene(uid="y", symbol="Y", global_index=-1)], "must continue those there are, from 0"),
        ([Gene(uid="y", symbol="Y", global_index=5)], "must continue those there are, from 0"),
    ],
)
def test_bad_features_are_refused_before_anything_is_written(
    atlas: hox.RaggedAtlas, registry: Registry, features: object, message: str
) -> None:
    before = registry.table.version
    with pytest.raises(ValueError, match=message):
        atlas.register_features("gene_expression", features)
    assert registry.table.version == before


def test_a_space_without_registry_is_named(atlas: hox.RaggedAtlas) -> None:
    for error in (ValueError, KeyError, NotFoundError):
        with pytest.raises(error, match="No registry for feature space 'protein_abundance'; this atlas has"):
            atlas.register_features("protein_abundance", genes("a"))
    with pytest.raises(KeyError):
        atlas.feature_registry("nope")


def test_indexing_is_deterministic_and_never_changes(registry: Registry) -> None:
    registry.register(genes("c", "a", "b"))
    assert registry.reindex() == 3
    assert registry.arrow()["uid"].to_pylist() == ["a", "b", "c"]
    registry.register(genes("aa", "0"))
    assert registry.reindex() == 2
    assert registry.reindex() == 0
    assert registry.arrow()["uid"].to_pylist() == ["a", "b", "c", "0", "aa"]
    assert registry.frame()["global_index"].to_list() == [0, 1, 2, 3, 4]
    assert registry.frame()["symbol"].to_list() == ["A", "B", "C", "0", "AA"]


def test_reindexing_by_its_public_name(atlas: hox.RaggedAtlas, registry: Registry) -> None:
    assert hox.reindex_registry(registry) == 0
    atlas.register_features("gene_expression", genes("c", "a"))
    table = atlas.db.open_table("gene_expression_registry")
    assert hox.reindex_registry(table) == 2
    assert hox.reindex_registry(registry) == 0
    assert registry.frame()["global_index"].to_list() == [0, 1]


def test_resolving_keeps_the_order_asked(registry: Registry) -> None:
    registry.register(genes("c", "a", "b"))
    with pytest.raises(ValueError, match=r"1 feature\(s\) .* have global_index = None; run optimize\(\) first"):
        registry.resolve(["a"])
    registry.reindex()
    resolved = registry.resolve(["c", "a", "c"])
    assert resolved.dtype == np.int32
    assert resolved.tolist() == [2, 0, 2]
    assert registry.resolve([]).tolist() == []
    with pytest.raises(ValueError, match=r"2 feature uid\(s\) not found in registry .* First 5: \['x', 'y'\]"):
        registry.resolve(["x", "a", "y", "x"])


def test_resolving_by_its_public_name_sorts(registry: Registry) -> None:
    registry.register(genes("c", "a", "b"))
    registry.reindex()
    assert hox.resolve_feature_uids_to_global_indices(registry, ["c", "a", "c"]).tolist() == [0, 2, 2]
    empty = hox.resolve_feature_uids_to_global_indices(registry, [])
    assert (empty.dtype, len(empty)) == (np.int32, 0)


def test_two_writers_that_register_a_feature_at_once_leave_one(registry: Registry) -> None:
    registry.register(genes("a", "b"))
    registry.reindex()
    # What a lost race leaves: the same uids again, without an index.
    rows = registry.table.scan()
    late = pa.table({"uid": ["b", "c", "c"], "global_index": pa.nulls(3, pa.int64()), "symbol": ["late"] * 3})
    registry.table.append(pa.concat_tables([late.append_column("length", pa.nulls(3, pa.int64()))]).cast(rows.schema))
    assert registry.n_features == 5
    assert registry.remove_duplicates() == 2
    assert registry.reindex() == 1
    assert registry.frame().select("uid", "global_index", "symbol").rows() == [
        ("a", 0, "A"),
        ("b", 1, "B"),
        ("c", 2, "late"),
    ]
    assert registry.remove_duplicates() == 0
    assert registry.register(genes("d")) == 1
    registry.table.compact()
    assert registry.n_features == 4


def test_copies_that_were_indexed_together_are_repaired(registry: Registry) -> None:
    # As an older version indexed them: both copies at once.
    schema = registry.table.schema
    copies = pa.table({"uid": ["a", "a", "b"], "global_index": [0, 0, 1], "symbol": ["A", "A", "B"]})
    registry.table.append(copies.append_column("length", pa.nulls(3, pa.int64())).cast(schema))
    assert registry.remove_duplicates() == 1
    assert registry.frame().select("uid", "global_index").rows() == [("a", 0), ("b", 1)]


def test_indexing_alone_removes_copies(registry: Registry) -> None:
    schema = registry.table.schema
    copies = pa.table({"uid": ["a", "a", "b"], "global_index": pa.nulls(3, pa.int64()), "symbol": ["A", "A", "B"]})
    registry.table.append(copies.append_column("length", pa.nulls(3, pa.int64())).cast(schema))
    assert hox.reindex_registry(registry) == 2
    assert registry.frame().select("uid", "global_index").rows() == [("a", 0), ("b", 1)]


def test_an_index_that_was_assigned_meanwhile_stays(
    atlas: hox.RaggedAtlas, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = hox.RaggedAtlas.open(atlas.catalog.location.root, "cells", Cell)
    registry.register(genes("m"))
    hook = MergeInsertBuilder.execute_uncommitted

    def other_first(self: object, rows: pa.Table) -> object:
        # The other process indexes "m" after this one has seen "a" and "m" without an index.
        monkeypatch.setattr(MergeInsertBuilder, "execute_uncommitted", hook)
        late = pa.table({"uid": ["m"], "global_index": [0]})
        other.catalog.registry("gene_expression").table.update_matching(["uid"], late)
        return hook(self, rows)

    registry.register(genes("a"))
    monkeypatch.setattr(MergeInsertBuilder, "execute_uncommitted", other_first)
    registry.reindex()
    assert registry.frame().select("uid", "global_index").rows() == [("m", 0), ("a", 1)]


_WRITER = """
import sys
from pathlib import Path
import homeobox as hox
root, me, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
atlas = hox.RaggedAtlas.open(root, "cells")
for turn in range(6):
    (root / f"{me}{turn}").touch()
    while not (root / f"{other}{turn}").exists():
        pass
    uids = [f"{me}{turn}_{i}" for i in range(5)] + [f"shared{turn}_{i}" for i in range(5)]
    Gene = __import__("test_catalog_registry").Gene
    atlas.register_features("gene_expression", [Gene(uid=uid, symbol="") for uid in uids])
    atlas.optimize()
"""


def test_two_processes_that_register_and_optimize_at_once(atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent), *sys.path])
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), me, other], env={**os.environ, "PYTHONPATH": paths}
        )
        for me, other in ("xy", "yx")
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    frame = atlas.feature_registry("gene_expression")
    assert frame["global_index"].to_list() == list(range(6 * 15))
    assert frame["uid"].n_unique() == 6 * 15
    assert atlas.snapshot() == 0


def test_annotation_is_joined_in_the_rows_given(atlas: hox.RaggedAtlas) -> None:
    atlas.register_features("gene_expression", genes("a", "b"))
    frame = pl.DataFrame({"feature": ["b", "nope", "a", "b"], "score": [1, 2, 3, 4]})
    joined = atlas.join_feature_metadata(frame, "gene_expression", ["symbol"])
    assert joined.columns == ["feature", "score", "symbol"]
    assert joined["symbol"].to_list() == ["B", None, "A", "B"]
    renamed = frame.rename({"feature": "gene"})
    assert atlas.join_feature_metadata(renamed, "gene_expression", ["symbol"], on="gene").height == 4
    for column in ("uid", "global_index", "nope"):
        with pytest.raises(ValueError, match="Unknown registry columns"):
            atlas.join_feature_metadata(frame, "gene_expression", [column])
    with pytest.raises(ValueError, match="has no column 'feature'"):
        atlas.join_feature_metadata(renamed, "gene_expression", ["symbol"])


def test_a_pinned_registry_is_read_once_and_stays(atlas: hox.RaggedAtlas, registry: Registry) -> None:
    atlas.register_features("gene_expression", genes("a", "b"))
    add_described_dataset(atlas, "g", ["b", "a"], 3)
    atlas.optimize()
    atlas.snapshot()
    pinned = hox.RaggedAtlas.checkout_latest(atlas.catalog.location.root).catalog.registry("gene_expression")
    assert pinned.arrow() is pinned.arrow()
    atlas.register_features("gene_expression", genes("c"))
    assert (pinned.n_features, registry.n_features) == (2, 3)
    with pytest.raises(ValueError, match="checked out at a snapshot and read-only"):
        pinned.register(genes("d"))


def test_uids_with_quotes_are_only_text(atlas: hox.RaggedAtlas) -> None:
    uids = ["a'b", 'c"d', "x' OR '1'='1", "back`tick", "ünï"]
    atlas.register_features("gene_expression", genes(*uids))
    add_described_dataset(atlas, "it's", uids[:3], 2)
    found = atlas.find_datasets_with_features(uids, "gene_expression")
    assert sorted(found["global_feature_uid"].to_list()) == sorted(uids[:3])
    assert found["zarr_group"].to_list() == ["it's"] * 3


def test_a_lazy_frame_is_registered_too(atlas: hox.RaggedAtlas) -> None:
    frame = pl.LazyFrame({"uid": ["a", "b"], "symbol": ["A", "B"]})
    assert atlas.register_features("gene_expression", frame) == 2
    joined = atlas.join_feature_metadata(pl.DataFrame({"feature": ["b", "a"]}), "gene_expression", "symbol")
    assert joined["symbol"].to_list() == ["B", "A"]


def test_mistakes_of_the_caller_are_told_as_such(registry: Registry) -> None:
    table = registry.table
    wrong = pa.table({"nope": [1]})
    for call in (
        lambda: table.scan(["nope"]),
        lambda: table.count("no sql"),
        lambda: table.delete("no sql"),
        lambda: table.insert_missing(["uid"], wrong),
        lambda: table.update_matching(["uid"], wrong),
        lambda: table.append(wrong),
    ):
        with pytest.raises(InvalidArgumentError, match="table 'gene_expression_registry': "):
            call()
