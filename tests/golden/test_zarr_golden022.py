"""Every array of the golden atlases of homeobox 0.2.2 reads here as zarr-python reads it.

The golden atlases lie beside the repository in development.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import zarr

import homeobox.codecs  # noqa: F401 - registers the codec of 0.2.2 in zarr-python
from homeobox import _core

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden022"

pytestmark = [
    pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden atlases of 0.2.2 are not beside the repository"),
    pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3 specification"),
]


@pytest.mark.parametrize("name", ["g1_quickstart", "g3b_one_panel", "g5_codecs"])
def test_arrays_equal_those_that_zarr_python_reads(tmp_path: Path, name: str, rng: np.random.Generator) -> None:
    with tarfile.open(GOLDEN / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / name / "zarr_store"
    arrays = {
        path: node
        for path, node in zarr.open_group(root, mode="r").members(max_depth=None)
        if isinstance(node, zarr.Array)
    }
    assert len(arrays) >= 2
    for path, theirs in arrays.items():
        expected = theirs[...]
        for store in (_core.FileStore(root), _core.CountingStore(_core.FileStore(root))):
            ours = _core.Array.open(store, path)
            found = ours.read_all()
            assert found.dtype == expected.dtype, path
            assert found.tobytes() == expected.tobytes(), path
            begins, ends = np.sort(rng.integers(0, len(expected) + 1, (2, 20)), axis=0)
            ranges = np.concatenate([expected[i:j] for i, j in zip(begins, ends, strict=True)])
            assert ours.read_ranges(begins, ends).tobytes() == ranges.tobytes(), path
