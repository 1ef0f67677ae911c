"""Chunk and shard shapes, codec chains, names of groups, uids."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.cell_rows import random_uids
from homeobox.ingest.encoding import make_encoding
from homeobox.ingest.feature_uids import read_feature_uids
from homeobox.ingest.group_name import check_group_name, check_not_nested


def names(codecs_json: str) -> list[str]:
    return [codec["name"] for codec in json.loads(codecs_json)]


@pytest.mark.parametrize(
    ("n_entries", "shard"),
    [(1, 12_288), (12_288, 12_288), (12_289, 24_576), (2_286_884, 2_297_856), (10**8, 4_190_208)],
)
def test_shards_of_packed_arrays_follow_the_array(n_entries, shard):
    plan = make_encoding("bp128", 1, None, None).plan_indices(n_entries)
    assert plan.chunk_shape == (12_288,)
    assert plan.shard_shape == (shard,)
    assert names(plan.codecs_json) == ["homeobox.bp128"]


def test_bitpacking_is_cut_as_0_2_2_cuts_it():
    encoding = make_encoding("bitpacking", 1, None, None)
    indices = encoding.plan_indices(1000)
    assert (indices.chunk_shape, indices.shard_shape) == ((40_960,), (41_943_040,))
    assert json.loads(indices.codecs_json) == [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "homeobox.bitpacking", "configuration": {"transform": "delta", "element_size": 4}},
        {"name": "crc32c"},
    ]
    assert names(encoding.plan_values((1000,), np.dtype("int64")).codecs_json)[1] == "homeobox.bitpacking"
    assert names(encoding.plan_values((1000,), np.dtype("float32")).codecs_json)[1] == "zstd"
    assert json.loads(encoding.plan_values((1000,), np.dtype("int8")).codecs_json)[0] == {"name": "bytes"}


def test_dense_rows_are_cut_on_axis_0():
    plan = make_encoding("bitpacking", 2, None, None).plan_values((200, 14), np.dtype("int32"))
    assert plan.chunk_shape == (2925, 14)
    assert plan.shard_shape == (41_943_040 // 14 // 2925 * 2925, 14)
    assert names(plan.codecs_json)[1] == "zstd"
    packed = make_encoding("bp128", 2, None, None).plan_values((1000, 14), np.dtype("int32"))
    assert packed.chunk_shape == (877, 14)
    assert packed.shard_shape == (1754, 14)
    wide = make_encoding("bp128", 2, None, None).plan_values((3, 50_000), np.dtype("float32"))
    assert (wide.chunk_shape, wide.shard_shape) == ((1, 50_000), (3, 50_000))


def test_the_caller_decides_and_sidecars_do_not_follow():
    encoding = make_encoding("bp128", 1, [128], [512])
    assert encoding.plan_indices(10_000).chunk_shape == (128,)
    assert encoding.plan_indices(10_000).shard_shape == (512,)
    assert encoding.plan_sidecar(10, np.dtype("int64")).chunk_shape == (12_288,)


@pytest.mark.parametrize(
    ("codec", "axes", "chunk", "shard", "message"),
    [
        ("gzip", 1, None, None, "codec 'gzip' is unknown, expected one of"),
        ("bp128", 1, (128, 1), None, r"chunk_shape \(128, 1\) is not a tuple of 1 positive"),
        ("bp128", 2, None, (128,), r"shard_shape \(128,\) is not a tuple of 2 positive"),
        ("bp128", 1, (0,), None, r"chunk_shape \(0,\) is not"),
    ],
)
def test_shapes_that_cannot_be(codec, axes, chunk, shard, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make_encoding(codec, axes, chunk, shard)


def test_a_shard_consists_of_whole_chunks():
    with pytest.raises(InvalidArgumentError, match=r"shard_shape \(300,\) is not a multiple of the chunk shape \(128,"):
        make_encoding("bp128", 1, (128,), (300,)).plan_indices(1000)


@pytest.mark.parametrize("name", ["pbmc3k", "a/b/c", "Smart-seq2 (2019)", "ünï", "x.y"])
def test_names_that_are_fine(name):
    check_group_name(name)


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../x", "a/../b", ".", ".hidden", "__x", "zarr.json", "a\\b", "a\nb", " a", "a?b"]
)
def test_names_that_would_lead_elsewhere(name):
    with pytest.raises(InvalidArgumentError, match="zarr_group"):
        check_group_name(name)


def test_groups_do_not_nest():
    check_not_nested("a", ["ab", "b/a"])
    with pytest.raises(InvalidArgumentError, match="'a/b' would lie inside the group 'a'"):
        check_not_nested("a/b", ["a"])
    with pytest.raises(InvalidArgumentError, match="'a' would enclose the group 'a/b'"):
        check_not_nested("a", ["a/b"])


def test_random_uids_have_the_form_of_make_uid():
    uids = random_uids(10_000).to_pylist()
    assert len(set(uids)) == 10_000
    assert all(re.fullmatch("[0-9a-f]{12}4[0-9a-f]{3}", uid) for uid in uids)
    # every digit of every other position occurs
    assert all({uid[i] for uid in uids} == set("0123456789abcdef") for i in range(16) if i != 12)
    assert random_uids(0).to_pylist() == []


@pytest.mark.parametrize(
    ("var", "message"),
    [
        (pd.DataFrame({"gene": ["a"]}), r"no column 'global_feature_uid'.*found \['gene'\]"),
        (pd.DataFrame({"global_feature_uid": ["a", None, np.nan]}), r"2 missing value\(s\), the first in row 1"),
        (pd.DataFrame({"global_feature_uid": [1, 2]}), "must hold text, found int"),
        (pd.DataFrame([["a", "b"]], columns=["global_feature_uid"] * 2), "2 columns named"),
    ],
)
def test_feature_uids_that_cannot_be(var, message):
    with pytest.raises(InvalidArgumentError, match=message):
        read_feature_uids(var)


def test_feature_uids_may_be_categories():
    assert read_feature_uids(pd.DataFrame({"global_feature_uid": pd.Categorical(["b", "a"])})) == ["b", "a"]
