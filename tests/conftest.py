"""What all tests share: a seed that is printed, and real data cut small."""

import random
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import settings

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
