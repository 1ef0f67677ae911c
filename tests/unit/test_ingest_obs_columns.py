"""Obs columns become columns of the cell table exactly, or are refused with a message that says why."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import BaseModel, Field

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.obs_columns import convert_obs


class Obs(BaseModel):
    text: str | None = None
    number: int | None = None
    real: float | None = None
    flag: bool | None = None
    day: datetime.date | None = None


def convert(column: object, name: str, dtype: pa.DataType, nullable: bool = True) -> pa.Array:
    field = pa.field(name, dtype, nullable=nullable)
    return convert_obs(pd.DataFrame({name: column}), [field], Obs.model_fields)[name]


@pytest.mark.parametrize(
    ("column", "name", "dtype", "expected"),
    [
        (["a", None, "b"], "text", pa.string(), ["a", None, "b"]),
        (["a", np.nan, "b"], "text", pa.string(), ["a", None, "b"]),
        (pd.Categorical(["a", None, "b"]), "text", pa.string(), ["a", None, "b"]),
        (pd.Categorical([3, None, 1]), "number", pa.int64(), [3, None, 1]),
        (pd.array(["a", None], dtype="string"), "text", pa.string(), ["a", None]),
        ([None, None], "text", pa.string(), [None, None]),
        ([np.nan, np.nan], "text", pa.string(), [None, None]),
        ([1.0, np.nan], "number", pa.int64(), [1, None]),
        (np.array([1, 2], dtype=np.uint8), "number", pa.int64(), [1, 2]),
        (pd.array([1, None], dtype="Int64"), "number", pa.int64(), [1, None]),
        ([1, 2], "real", pa.float64(), [1.0, 2.0]),
        ([1.5, np.nan], "real", pa.float64(), [1.5, None]),
        ([True, False], "flag", pa.bool_(), [True, False]),
        ([True, None], "flag", pa.bool_(), [True, None]),
        (pd.array([True, None], dtype="boolean"), "flag", pa.bool_(), [True, None]),
        ([pd.Timestamp("2020-02-01"), pd.NaT], "day", pa.date32(), [datetime.date(2020, 2, 1), None]),
    ],
)
def test_values_and_missing_values_keep_their_meaning(column, name, dtype, expected):
    converted = convert(column, name, dtype)
    assert converted.type == dtype
    assert converted.to_pylist() == expected


def test_nan_stays_in_a_float_column_that_may_not_be_null():
    converted = convert([1.5, np.nan], "real", pa.float64(), nullable=False)
    assert converted.null_count == 0
    assert np.isnan(converted[1].as_py())


def test_vectors_and_lists():
    vectors = [np.array([1.0, 2.0]), None]
    assert convert(vectors, "text", pa.list_(pa.float32(), 2)).to_pylist() == [[1.0, 2.0], None]
    assert convert([["a"], []], "text", pa.list_(pa.string())).to_pylist() == [["a"], []]


@pytest.mark.parametrize(
    ("column", "name", "dtype", "nullable", "message"),
    [
        ([1, 2], "text", pa.string(), True, "column 'text': expected string, found int64"),
        (["1", "2"], "number", pa.int64(), True, "column 'number': expected int64, found string"),
        ([1.5, 2.0], "number", pa.int64(), True, "column 'number': expected int64, found double: Float value 1.5"),
        ([True, False], "number", pa.int64(), True, "column 'number': expected int64, found bool"),
        ([0, 1], "flag", pa.bool_(), True, "column 'flag': expected bool, found int64"),
        (["a", 1], "text", pa.string(), True, "column 'text': expected string, found object that does not convert"),
        (pd.Categorical([1, 2]), "text", pa.string(), True, "column 'text': expected string, found int64"),
        (["a", None], "text", pa.string(), False, r"column 'text' has 1 missing value\(s\), the first in row 1"),
        (pd.Categorical(["a", None]), "text", pa.string(), False, "column 'text' has 1 missing value"),
        (["abc", None], "text", pa.list_(pa.string()), True, "column 'text': .*a text would be taken apart"),
        ([2**70, 1], "number", pa.int64(), True, "column 'number': expected int64"),
        (
            pd.to_datetime(["2020-01-01 05:00"]).tz_localize("US/Eastern"),
            "when",
            pa.timestamp("us"),
            True,
            "column 'when': expected timestamp",
        ),
        (
            pd.to_datetime(["2020-01-01 00:00", "2020-01-01 23:59"]),
            "day",
            pa.date32(),
            True,
            "column 'day': .*times of day",
        ),
        ([[1.0], [1.0, 2.0]], "real", pa.list_(pa.float32(), 2), True, "column 'real': expected fixed_size_list"),
    ],
)
def test_what_does_not_fit_is_refused(column, name, dtype, nullable, message):
    with pytest.raises(InvalidArgumentError, match="obs columns do not match cell schema: " + message):
        convert(column, name, dtype, nullable)


def test_every_problem_is_named_at_once():
    class Strict(BaseModel):
        tissue: str
        age: int

    fields = [pa.field("tissue", pa.string(), nullable=False), pa.field("age", pa.int64(), nullable=False)]
    with pytest.raises(InvalidArgumentError, match="Missing required column 'tissue'; column 'age': expected int64"):
        convert_obs(pd.DataFrame({"age": ["old"]}), fields, Strict.model_fields)


def test_defaults_stand_in_for_columns_that_obs_lacks():
    class Defaults(BaseModel):
        tissue: str = "unknown"
        note: str | None = None
        tags: list[str] = Field(default_factory=list)

    fields = [
        pa.field("tissue", pa.string(), nullable=False),
        pa.field("note", pa.string()),
        pa.field("tags", pa.list_(pa.string()), nullable=False),
    ]
    columns = convert_obs(pd.DataFrame(index=["c0", "c1"]), fields, Defaults.model_fields)
    assert {name: column.to_pylist() for name, column in columns.items()} == {
        "tissue": ["unknown", "unknown"],
        "note": [None, None],
        "tags": [[], []],
    }


def test_repeated_column_is_refused():
    obs = pd.DataFrame([["a", "b"]], columns=["text", "text"])
    with pytest.raises(InvalidArgumentError, match="column 'text' occurs 2 times"):
        convert_obs(obs, [pa.field("text", pa.string())], Obs.model_fields)
