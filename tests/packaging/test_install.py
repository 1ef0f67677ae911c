"""A wheel of this tree holds what it should, installs by itself and imports little."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

# One worker: both modules build in the same folder.
pytestmark = pytest.mark.xdist_group("build")

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., str]

SCHEMAS = """
import homeobox as hox
from homeobox.schema import SparseZarrPointer

class Gene(hox.FeatureBaseSchema):
    gene_symbol: str

class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
"""


@pytest.fixture(scope="session")
def wheel(run: Run, build_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder,
        f"--config-settings=build-dir={build_folder}", "--config-settings=build.targets=_core", ROOT,
    )  # fmt: skip
    (path,) = folder.glob("homeobox-*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in package} == {"homeobox"}
    (core,) = (name for name in package if name.endswith(".so"))
    assert core.startswith("homeobox/_core.")
    sources = {
        f"homeobox/{path.relative_to(ROOT / 'python' / 'homeobox').as_posix()}"
        for path in (ROOT / "python" / "homeobox").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }
    assert package - {core} == sources
    assert {"homeobox/datasets/pbmc3k_raw.h5ad", "homeobox/datasets/LICENSE-DATA.md"} <= package


@pytest.mark.slow
def test_the_wheel_declares_the_codecs_that_zarr_looks_for(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        text = archive.read(name).decode()
    assert "[zarr.codecs]" in text
    assert "homeobox.bitpacking" in text
    assert "homeobox.bp128" in text


@pytest.mark.slow
def test_an_installed_wheel_works_outside_the_repository(run: Run, wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel)
    script = (
        "import homeobox, homeobox._core as c; from homeobox.datasets import pbmc3k; print(c.__file__, pbmc3k().shape)"
    )
    # -S keeps the editable install of the development environment from answering; dependencies stay reachable.
    site = [path for path in sys.path if path.endswith("site-packages")]
    output = run(sys.executable, "-S", "-c", script, cwd=tmp_path, env={"PYTHONPATH": ":".join([str(target), *site])})
    assert str(target) in output
    assert "(2700, 32738)" in output


def loaded_after(run: Run, script: str) -> set[str]:
    """Names of the top-level modules in a fresh interpreter after `script`."""
    code = f"{script}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    return set(json.loads(run(sys.executable, "-c", code).splitlines()[-1]))


def test_import_and_schemas_load_no_heavy_module(run: Run) -> None:
    heavy = {"torch", "scanpy", "anndata", "lancedb", "lance", "polars", "scipy", "zarr", "rich", "typer"}
    assert loaded_after(run, SCHEMAS) & heavy == set()


def test_checkout_and_count_load_neither_lancedb_nor_anndata(run: Run, quickstart_atlas: Path) -> None:
    checkout = f"hox.RaggedAtlas.checkout_latest({str(quickstart_atlas)!r})"
    script = f"import homeobox as hox\nassert {checkout}.query().count() == 2700"
    assert loaded_after(run, script) & {"torch", "scanpy", "anndata", "lancedb"} == set()
