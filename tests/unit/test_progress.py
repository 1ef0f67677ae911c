"""Long work shows how far it is to whoever looks, and to nobody else; it can be interrupted."""

from __future__ import annotations

import datetime
import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_atlas import Dataset, add, empty_atlas

import homeobox as hox
from homeobox import _core
from homeobox.catalog import array_checks, deep_validation, progress
from homeobox.catalog.progress import step_progress

UIDS = ["gene0", "gene1"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def atlas(tmp_path: Path) -> hox.RaggedAtlas:
    atlas = empty_atlas(tmp_path / "atlas", {"gene_expression": UIDS})
    for group in ("first", "second"):
        obs = pd.DataFrame({"label": ["a", "b"], "number": [1, 2]})
        add(atlas, Dataset(group, sp.csr_matrix(np.eye(2, dtype=np.int32)), UIDS, obs))
    atlas.optimize()
    atlas.snapshot()
    return atlas


def test_a_bar_shows_after_a_while_and_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    for stderr, after_s in ((Terminal(), 0.0), (Terminal(), 3600.0), (io.StringIO(), 0.0)):
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setattr(progress, "_SHOWN_AFTER_S", after_s)
        with step_progress("work", 3) as advance:
            advance(1)
            advance(2)
        shown.append("work" in stderr.getvalue())
    assert shown == [True, False, False]


def test_validation_and_pruning_show_how_far_they_are(atlas: hox.RaggedAtlas, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_SHOWN_AFTER_S", 0.0)
    assert atlas.validate(deep=True) == []
    assert "3/3" in terminal.getvalue()  # two datasets and a snapshot
    atlas.delete_dataset("first")
    atlas.snapshot()
    terminal.truncate(0)
    atlas.prune(1, confirm=True, min_age=datetime.timedelta(0))
    assert "prune" in terminal.getvalue()


def test_deep_validation_can_be_interrupted(atlas: hox.RaggedAtlas, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_objects(store: _core.Store, group: str) -> object:
        if group == "second":
            raise KeyboardInterrupt
        return array_checks.check_objects(store, group)

    monkeypatch.setattr(deep_validation, "check_objects", check_objects)
    with pytest.raises(KeyboardInterrupt):
        atlas.validate(deep=True)
