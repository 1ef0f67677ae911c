"""The C++ library stands alone: installed, found by CMake, used by a program without Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from homeobox.datasets import pbmc3k

# One worker: both modules build in the same folder.
pytestmark = pytest.mark.xdist_group("build")

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., str]


@pytest.fixture(scope="session")
def prefix(run: Run, build_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", build_folder, "--prefix", folder, "--component", "cpp")
    return folder


def test_installed_headers_are_those_of_the_library_without_its_tests(prefix: Path) -> None:
    installed = {path.relative_to(prefix / "include") for path in (prefix / "include").rglob("*") if path.is_file()}
    sources = {
        path.relative_to(ROOT / "cpp")
        for path in (ROOT / "cpp" / "homeobox").rglob("*.h")
        if not path.stem.endswith(("_test", "_conformance"))
    }
    assert installed == sources


@pytest.mark.slow
def test_a_program_finds_the_package_and_sums_random_cells(
    run: Run, prefix: Path, quickstart_atlas: Path, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    run("cmake", "-S", ROOT / "cpp" / "examples", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    output = run(build / "cell_sums", quickstart_atlas / "zarr_store", "pbmc3k", 100)

    rows, totals = np.array([line.split("\t") for line in output.splitlines()], dtype=np.int64).T
    assert len(np.unique(rows)) > 90
    expected = np.asarray(pbmc3k().X.sum(axis=1)).ravel()[rows]
    np.testing.assert_array_equal(totals, expected)
