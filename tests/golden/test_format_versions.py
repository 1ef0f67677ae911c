"""What earlier versions wrote is read as it was written, and what this version writes has not changed.

Golden files are those of tools/make_golden.py, one folder for each version of the format.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from golden.second_array_reader import StoredArray, read_rows, verify_group
from golden.second_implementation import CONSTANT, DELTA, PLAIN, RAW, ZIGZAG, ZSTD, ZSTD_DELTA

from homeobox import _core

HERE = Path(__file__).resolve().parent
VERSIONS = sorted(version.name for version in HERE.glob("format*/"))
CASES = [
    (version, name, expected)
    for version in VERSIONS
    for name, expected in json.loads((HERE / version / "expected.json").read_text()).items()
]
CURRENT = HERE / "format1"
# Their bytes follow from the elements alone; those of the other modes also from the release of zstd.
REPRODUCIBLE_MODES = {CONSTANT, RAW, PLAIN, DELTA, ZIGZAG}

each_array = pytest.mark.parametrize(
    ("version", "name", "expected"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES]
)


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def make_golden() -> ModuleType:
    path = HERE.parents[1] / "tools" / "make_golden.py"
    spec = importlib.util.spec_from_file_location("make_golden", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pydantic looks up the names in its annotations
    spec.loader.exec_module(module)
    return module


@each_array
def test_a_golden_array_reads_as_it_was_written(version: str, name: str, expected: dict) -> None:
    array = _core.Array.open(_core.FileStore(str(HERE / version)), name)
    values = array.read_all()
    assert values.dtype.name == expected["dtype"]
    assert list(values.shape) == expected["shape"]
    assert digest(values) == expected["sha256"]


@each_array
def test_ranges_of_a_golden_array_equal_slices(version: str, name: str, expected: dict) -> None:
    array = _core.Array.open(_core.FileStore(str(HERE / version)), name)
    values = array.read_all()
    begins = np.array([0, 127, 500, 550, len(values) - 1], dtype=np.int64)
    ends = np.array([1, 129, 600, 550, len(values)], dtype=np.int64)
    slices = np.concatenate([values[begin:end] for begin, end in zip(begins, ends, strict=True)])
    assert array.read_ranges(begins, ends).tobytes() == slices.tobytes()


def test_every_version_has_golden_arrays() -> None:
    assert {version for version, _, _ in CASES} >= {"format1"}


def test_version_1_has_every_mode_of_bp128_and_every_type() -> None:
    arrays = [StoredArray(CURRENT / name) for version, name, _ in CASES if version == "format1" and "bp128" in name]
    modes = {encoded[0] for array in arrays for _, encoded in array.chunks() if encoded is not None}
    assert modes == {CONSTANT, RAW, ZSTD, PLAIN, DELTA, ZIGZAG, ZSTD_DELTA}
    assert len({array.dtype for array in arrays}) == 12


@pytest.mark.parametrize("version", VERSIONS)
def test_the_golden_group_has_its_rows(version: str) -> None:
    group = HERE / version / "group"
    verify_group(group)
    expected = json.loads((HERE / version / "group.json").read_text())
    rows = read_rows(group, "counts")
    for (features, counts), row in zip(rows, expected, strict=True):
        # As stored, entries stand by stored index; those of one feature keep the order of the source.
        order = np.argsort(features, kind="stable")
        source = np.argsort(row["features"], kind="stable")
        assert np.take(features, order).tolist() == np.take(row["features"], source).tolist()
        assert np.take(counts, order).tolist() == np.take(row["counts"], source).tolist()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_core_gathers_the_golden_group(version: str) -> None:
    group = HERE / version / "group"
    expected = json.loads((HERE / version / "group.json").read_text())
    store = _core.FileStore(str(HERE / version))
    indptr = _core.Array.open(store, "group/csr/indptr").read_all()
    opened = _core.SparseGroup(store, "group")
    remap = np.arange(len(StoredArray(group / "csr/feature_order").read()), dtype=np.int32)
    cells = np.random.default_rng(0).permutation(len(expected))
    gathered_indptr, columns, values = _core.gather_csr(
        [opened],
        [remap],
        "csr/layers/counts",
        np.zeros(len(cells), np.int32),
        indptr[cells],
        indptr[cells + 1],
        len(remap),
        opened.layer_dtype("csr/layers/counts"),
    )
    for i, cell in enumerate(cells):
        row = slice(gathered_indptr[i], gathered_indptr[i + 1])
        source = np.argsort(expected[cell]["features"], kind="stable")
        assert columns[row].tolist() == np.take(expected[cell]["features"], source).tolist()
        assert values[row].tolist() == np.take(expected[cell]["counts"], source).tolist()


def test_this_version_encodes_as_ever(make_golden: ModuleType, tmp_path: Path) -> None:
    """Byte for byte where no compressor has a say; elsewhere the elements."""
    store = _core.FileStore(str(tmp_path))
    n_equal = 0
    for name, values, codecs in make_golden.cases():
        make_golden.write_array(store, name, values, codecs)
        assert (tmp_path / name / "zarr.json").read_text() == (CURRENT / name / "zarr.json").read_text()
        old, new = StoredArray(CURRENT / name), StoredArray(tmp_path / name)
        for (begin, before), (_, now) in zip(old.chunks(), new.chunks(), strict=True):
            is_bp128 = codecs == make_golden.BP128
            packed = is_bp128 and before is not None and before[0] in REPRODUCIBLE_MODES
            if before is None or packed or "bitpacking" in name:
                assert now == before, (name, begin)
                n_equal += 1
            else:
                assert now is not None
                assert new.decode(now).tobytes() == old.decode(before).tobytes()
    assert n_equal > 60


def test_this_version_writes_the_group_as_ever(make_golden: ModuleType, tmp_path: Path) -> None:
    """All of it: the group has no compressed chunk."""
    make_golden.write_group(tmp_path / "group")
    found = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    expected = {path.relative_to(CURRENT): path.read_bytes() for path in CURRENT.rglob("group/**/*") if path.is_file()}
    assert found == expected
