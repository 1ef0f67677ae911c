"""What the packaging tests share: a build folder of this tree and a small real atlas on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


Run = Callable[..., str]


def _run(*command: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command} exited {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="session")
def run() -> Run:
    """Call a command and return its output; a failure shows all of it."""
    return _run


@pytest.fixture(scope="session")
def build_folder() -> Path:
    """The package's own build folder, brought up to date, so that these tests compile nothing twice."""
    folder = ROOT / "build" / "editable"
    if not (folder / "CMakeCache.txt").exists():
        pytest.skip(f"{folder.relative_to(ROOT)} is not configured: run `make build`")
    _run("cmake", "--build", folder, "--target", "homeobox")
    return folder


@pytest.fixture(scope="session")
def quickstart_atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the quickstart ran, as a script, without network."""
    folder = tmp_path_factory.mktemp("quickstart")
    (folder / "data").mkdir()
    (folder / "data" / "pbmc3k_raw.h5ad").symlink_to((ROOT / "data" / "pbmc3k_raw.h5ad").resolve())
    output = _run(sys.executable, ROOT / "examples" / "quickstart.py", cwd=folder)
    assert "n_obs × n_vars = 500 × 32738" in output  # noqa: RUF001
    return folder / "hox_example_atlas"
