"""Pointers, joined feature spaces and frames: everything about a query that is decided before an array is opened."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from homeobox.errors import InvalidArgumentError
from homeobox.query.feature_space import DROPPED, join_features
from homeobox.query.obs_frame import obs_frame
from homeobox.query.pointers import ABSENT, pointer_columns, read_pointers
from homeobox.query.request import checked_count, checked_join, checked_texts
from homeobox.query.var_frame import VarFrame
from homeobox.schema import PointerField, PointerKind

RNA = PointerField("gene_expression", "gene_expression", PointerKind.SPARSE)
PROTEIN = PointerField("protein_abundance", "protein_abundance", PointerKind.DENSE)


def sparse_table(groups: list[str | None], begins: list[int | None], ends: list[int | None]) -> pa.Table:
    names = pointer_columns(RNA)
    arrays = [pa.array(groups, pa.string()), pa.array(begins, pa.int64()), pa.array(ends, pa.int64())]
    return pa.table(dict(zip(names, arrays, strict=True)))


def test_only_needed_children_are_read():
    assert pointer_columns(RNA) == ["gene_expression.zarr_group", "gene_expression.start", "gene_expression.end"]
    assert pointer_columns(PROTEIN) == ["protein_abundance.zarr_group", "protein_abundance.position"]


def test_groups_become_numbers_and_absent_cells_none():
    pointers = read_pointers(sparse_table(["b", "", "a", "b", None], [0, 0, 5, 7, None], [7, 0, 9, 8, None]), RNA)
    assert [pointers.groups[g] if g != ABSENT else None for g in pointers.group_of_cell] == ["b", None, "a", "b", None]
    assert pointers.group_of_cell.dtype == np.int32
    assert pointers.begins.tolist() == [0, 0, 5, 7, 0]
    assert pointers.ends.tolist() == [7, 0, 9, 8, 0]
    present = pointers.take_present()
    assert present.begins.tolist() == [0, 5, 7]
    assert present.ends.tolist() == [7, 9, 8]


def test_many_chunks_and_no_rows():
    table = sparse_table(["a", "b"], [0, 2], [2, 3])
    chunked = pa.concat_tables([table, table.slice(1), table])
    pointers = read_pointers(chunked, RNA)
    assert [pointers.groups[g] for g in pointers.group_of_cell] == ["a", "b", "b", "a", "b"]
    assert read_pointers(table.slice(0, 0), RNA).groups == []
    assert not read_pointers(table.slice(0, 0), RNA).present.any()
    assert not read_pointers(sparse_table(["", ""], [0, 0], [0, 0]), RNA).present.any()


def test_dense_pointers_have_positions_only():
    table = pa.table({"protein_abundance.zarr_group": ["p", ""], "protein_abundance.position": [3, 0]})
    pointers = read_pointers(table, PROTEIN)
    assert pointers.take_present().begins.tolist() == [3]
    assert len(pointers.take_present().ends) == 0


LAYOUTS = {"x": np.array([4, 0, 7], dtype=np.int32), "y": np.array([7, 4, 2], dtype=np.int32)}


def test_union_is_in_ascending_global_order():
    joined = join_features(LAYOUTS, "union")
    assert joined.global_index.tolist() == [0, 2, 4, 7]
    assert joined.global_index.dtype == np.int32
    assert [remap.tolist() for remap in joined.remaps] == [[2, 0, 3], [3, 2, 1]]
    assert joined.measured().tolist() == [[True, False], [False, True], [True, True], [True, True]]


def test_intersection_keeps_what_all_layouts_have():
    joined = join_features(LAYOUTS, "intersection")
    assert joined.global_index.tolist() == [4, 7]
    assert [remap.tolist() for remap in joined.remaps] == [[0, DROPPED, 1], [1, 0, DROPPED]]
    assert joined.measured().all()


@pytest.mark.parametrize("how", ["union", "intersection"])
def test_a_filter_decides_alone(how):
    joined = join_features(LAYOUTS, how, wanted=np.array([9, 7, 2, 7], dtype=np.int32))
    assert joined.global_index.tolist() == [2, 7, 9]
    assert [remap.tolist() for remap in joined.remaps] == [[DROPPED, DROPPED, 1], [1, DROPPED, 0]]
    assert joined.measured().tolist() == [[False, True], [True, True], [False, False]]


def test_an_empty_filter_leaves_no_column():
    joined = join_features(LAYOUTS, "union", wanted=np.empty(0, dtype=np.int32))
    assert joined.n_columns == 0
    assert all((remap == DROPPED).all() for remap in joined.remaps)


def test_features_without_global_index_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"1 feature\(s\) of layout 'y' have no global_index; run optimize"):
        join_features({**LAYOUTS, "y": np.array([1, -1], dtype=np.int32)}, "union")


def registry(global_index: list[int | None]) -> pl.DataFrame:
    uids = [f"g{i}" for i in range(len(global_index))]
    return pl.DataFrame({"uid": uids, "global_index": global_index, "symbol": [u.upper() for u in uids]})


@pytest.mark.parametrize("indices", [[0, 1, 2, 3], [3, 1, 0, 2, None], [0, 2, 5, 9]])
def test_var_rows_are_found_by_global_index(indices):
    frame = registry(indices)
    expected = {i: uid for i, uid in zip(indices, frame["uid"], strict=True) if i is not None}
    var = VarFrame(frame.to_arrow())
    wanted = np.array(sorted(expected)[1:3], dtype=np.int32)
    assert var.take(wanted).index.tolist() == [expected[i] for i in wanted]
    assert var.take(wanted)["global_index"].tolist() == wanted.tolist()
    everything = var.take(np.array(sorted(expected), dtype=np.int32))
    assert list(everything.columns) == ["global_index", "symbol"]
    assert everything.index.name == "uid"
    assert everything["symbol"].tolist() == [expected[i].upper() for i in sorted(expected)]


def test_frames_do_not_share_values():
    var = VarFrame(registry([0, 1]).to_arrow())
    first = var.take(np.array([0, 1]))
    first.loc["g0", "symbol"] = "changed"
    assert var.take(np.array([0, 1]))["symbol"].tolist() == ["G0", "G1"]


def test_obs_index_is_uid_where_it_was_selected():
    table = pa.table({"uid": ["u1", "u2"], "n": [1, None], "text": ["a", None], "v": [[1.0], [2.0]]})
    frame = obs_frame(table)
    assert frame.index.tolist() == ["u1", "u2"]
    assert frame.index.name == "uid"
    assert list(frame.columns) == ["n", "text", "v"]
    assert frame["text"].tolist() == ["a", None]
    assert obs_frame(table.select(["n"])).index.tolist() == ["0", "1"]
    assert len(obs_frame(table.slice(0, 0))) == 0


@pytest.mark.parametrize("value", [-1, 1.5, "3", None])
def test_counts_that_are_none(value):
    with pytest.raises(InvalidArgumentError, match="limit must"):
        checked_count("limit", value)
    assert checked_count("limit", np.int64(3)) == 3


def test_joins_and_lists_are_checked():
    with pytest.raises(InvalidArgumentError, match="feature_join must be one of"):
        checked_join("outer")
    with pytest.raises(InvalidArgumentError, match="features must be a list, found 'CD3D'"):
        checked_texts("features", "CD3D")
    with pytest.raises(InvalidArgumentError, match="features must be a list of strings, found 3"):
        checked_texts("features", ["a", 3])
    assert checked_texts("features", np.array(["a", "b"], dtype=object)) == ["a", "b"]
