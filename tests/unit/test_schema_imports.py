"""What is loaded when: defining schemas and counting cells must not wait for libraries that they do not need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import homeobox as hox

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


def modules_after(code: str, *arguments: str) -> set[str]:
    """Modules that a fresh process ends up with. What it takes is measured in benchmarks/atlas.py."""
    command = [sys.executable, "-c", code + _TELL_MODULES, *arguments]
    return set(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def test_schemas_need_pydantic_only() -> None:
    modules = modules_after(_SCHEMAS)
    heavy = {"lance", "lancedb", "polars", "pyarrow", "pandas", "anndata", "scanpy", "torch", "zarr", "obstore"}
    assert not modules & heavy


def test_counting_needs_no_more_than_lance(described_atlas: hox.RaggedAtlas, tmp_path: Path) -> None:
    described_atlas.snapshot()
    modules = modules_after(_COUNT, str(tmp_path / "atlas"))
    assert not modules & {"lancedb", "polars", "anndata", "scanpy", "torch", "zarr", "obstore", "scipy", "rich"}


def test_every_public_name_can_be_had() -> None:
    for name in hox.__all__:
        assert getattr(hox, name) is not None
    assert set(hox.__all__) <= set(dir(hox))
    with pytest.raises(AttributeError, match="module 'homeobox' has no attribute 'nope'"):
        _ = hox.nope
    assert hox.__version__
