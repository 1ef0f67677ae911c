"""What is loaded when: defining schemas and counting cells must not wait for libraries that they do not need."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import homeobox as hox

# CPU seconds of the whole process, which other work on the machine disturbs less than its duration.
SCHEMA_SECONDS = 0.5
# The bar is 1.0 s where loading Lance alone takes 0.6; told as a ratio, it holds on a machine of any speed.
CHECKOUT_TO_LANCE = 1.6

_SCHEMAS = """
import homeobox as hox
from homeobox.schema import SparseZarrPointer

class GeneFeature(hox.FeatureBaseSchema):
    gene_symbol: str

class CellSchema(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None
"""

_COUNT = """
import sys
import homeobox as hox
n_cells = hox.RaggedAtlas.checkout_latest(sys.argv[1]).query().count()
assert n_cells == 20, n_cells
"""

_TELL_MODULES = "\nimport json, sys; print(json.dumps(sorted(set(name.partition('.')[0] for name in sys.modules))))"


def run(code: str, *arguments: str) -> tuple[set[str], float]:
    """Modules that a fresh process ends up with, and the CPU seconds of the best of three."""
    best = float("inf")
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", code + _TELL_MODULES, *arguments]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return set(json.loads(output)), best


def test_schemas_need_pydantic_only() -> None:
    modules, seconds = run(_SCHEMAS)
    heavy = {"lance", "lancedb", "polars", "pyarrow", "pandas", "anndata", "scanpy", "torch", "zarr", "obstore"}
    assert not modules & heavy
    assert seconds <= SCHEMA_SECONDS


def test_counting_needs_no_more_than_lance(described_atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    described_atlas.snapshot()
    modules, seconds = run(_COUNT, str(tmp_path / "atlas"))
    assert not modules & {"lancedb", "polars", "anndata", "scanpy", "torch", "zarr", "obstore", "scipy", "rich"}
    _, lance_seconds = run("import lance")
    assert seconds <= CHECKOUT_TO_LANCE * lance_seconds


def test_every_public_name_can_be_had() -> None:
    for name in hox.__all__:
        assert getattr(hox, name) is not None
    assert set(hox.__all__) <= set(dir(hox))
    with pytest.raises(AttributeError, match="module 'homeobox' has no attribute 'nope'"):
        _ = hox.nope
    assert hox.__version__
