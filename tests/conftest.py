"""What all tests share: a seed that is printed, and real data cut small."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from described_dataset import add_described_dataset
from hypothesis import settings

if TYPE_CHECKING:
    from homeobox import RaggedAtlas

settings.register_profile("homeobox", deadline=None, print_blob=True)
settings.load_profile("homeobox")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Hypothesis reads its option in its own pytest_configure, after this one; a given seed stays.
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = random.SystemRandom().randrange(2**32)


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: repeat this run with --hypothesis-seed={config.option.hypothesis_seed}"


@pytest.fixture
def rng(pytestconfig: pytest.Config) -> np.random.Generator:
    """A generator of the run's printed seed."""
    return np.random.default_rng(int(pytestconfig.option.hypothesis_seed))


class SmallPbmc:
    """The first 60 cells of pbmc3k and its first 800 genes: real counts, a few milliseconds to use."""

    def __init__(self, path: Path) -> None:
        with h5py.File(path) as file:
            x = file["X"]
            indptr = x["indptr"][:61].astype(np.int64)
            rows = sp.csr_matrix(
                (x["data"][: indptr[-1]], x["indices"][: indptr[-1]], indptr), shape=(60, len(file["var/_index"]))
            )
            names = file["var/_index"][:800]
        self.counts: sp.csr_matrix = rows[:, :800]
        self.genes: list[str] = [name.decode() for name in names]


@pytest.fixture(scope="session")
def small_pbmc() -> SmallPbmc:
    import homeobox.datasets

    return SmallPbmc(Path(homeobox.datasets.__file__).with_name("pbmc3k_raw.h5ad"))


@pytest.fixture
def gene_class() -> type:
    """A registry row with one column of the user's."""
    from homeobox.schema import FeatureBaseSchema

    class GeneFeature(FeatureBaseSchema):
        gene_symbol: str

    return GeneFeature


@pytest.fixture
def cell_class() -> type:
    """A cell with one pointer and no obs columns, as in the quickstart."""
    from homeobox.schema import HoxBaseSchema, SparseZarrPointer

    class CellSchema(HoxBaseSchema):
        gene_expression: SparseZarrPointer | None = None

    return CellSchema


@pytest.fixture
def empty_atlas(tmp_path: Path, gene_class: type, cell_class: type) -> RaggedAtlas:
    """A writable atlas without features and cells, at ``tmp_path / "atlas"``."""
    import homeobox as hox

    return hox.create_or_open_atlas(
        tmp_path / "atlas",
        "cells",
        cell_class,
        "datasets",
        hox.DatasetRecord,
        registry_schemas={"gene_expression": gene_class},
    )


@pytest.fixture
def described_atlas(empty_atlas: RaggedAtlas, gene_class: type, small_pbmc: SmallPbmc) -> RaggedAtlas:
    """`empty_atlas` with 60 real gene names, indexed, and 20 cells of one dataset whose arrays have only metadata."""
    genes = small_pbmc.genes[:60]
    empty_atlas.register_features("gene_expression", [gene_class(uid=g, gene_symbol=g) for g in genes])
    empty_atlas.optimize()
    add_described_dataset(empty_atlas, "pbmc/first", genes[:40], 20)
    return empty_atlas
