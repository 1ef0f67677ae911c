"""Arrays that earlier versions wrote are read as they were written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from homeobox import _core

HERE = Path(__file__).resolve().parent
CASES = [
    (version.name, name, expected)
    for version in sorted(HERE.glob("format*/"))
    if version.is_dir()
    for name, expected in json.loads((version / "expected.json").read_text()).items()
]


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()).hexdigest()


@pytest.mark.parametrize(("version", "name", "expected"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_golden_array_reads_as_it_was_written(version: str, name: str, expected: dict) -> None:
    array = _core.Array.open(_core.FileStore(str(HERE / version)), name)
    values = array.read_all()
    assert values.dtype.name == expected["dtype"]
    assert list(values.shape) == expected["shape"]
    assert digest(values) == expected["sha256"]


@pytest.mark.parametrize(("version", "name", "expected"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_ranges_of_a_golden_array_equal_slices(version: str, name: str, expected: dict) -> None:
    array = _core.Array.open(_core.FileStore(str(HERE / version)), name)
    values = array.read_all()
    begins = np.array([0, 127, 500, 1500, len(values) - 1], dtype=np.int64)
    ends = np.array([1, 129, 900, 1500, len(values)], dtype=np.int64)
    slices = np.concatenate([values[begin:end] for begin, end in zip(begins, ends, strict=True)])
    assert array.read_ranges(begins, ends).tobytes() == slices.tobytes()


def test_every_version_has_golden_arrays() -> None:
    assert {version for version, _, _ in CASES} >= {"format1"}
