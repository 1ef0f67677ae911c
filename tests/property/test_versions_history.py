"""Any history of an atlas: every snapshot shows for good what was there when it was taken."""

import datetime
import tempfile
from pathlib import Path

from described_dataset import add_described_dataset
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import homeobox as hox
from homeobox.schema import SparseZarrPointer


class Gene(hox.FeatureBaseSchema):
    symbol: str


class Cell(hox.HoxBaseSchema):
    gene_expression: SparseZarrPointer | None = None


GENES = [f"gene{number}" for number in range(12)]
State = dict[str, object]


def state_of(atlas: hox.RaggedAtlas) -> State:
    """What an atlas shows, apart from the order in which its dataset rows are stored."""
    catalog = atlas.catalog
    return {
        "cells": catalog.scan_cells(["uid", "gene_expression.zarr_group", "gene_expression.start"]).to_pydict(),
        "datasets": {row["zarr_group"]: row for row in catalog.datasets.arrow().to_pylist()},
        "registry": catalog.registry("gene_expression").arrow().to_pydict(),
    }


class AtlasHistory(RuleBasedStateMachine):
    """The model: the groups and features that must be there now, and what each snapshot showed."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.root = Path(self.directory.name) / "atlas"
        self.atlas = hox.create_or_open_atlas(
            self.root, "cells", Cell, "datasets", hox.DatasetRecord, registry_schemas={"gene_expression": Gene}
        )
        self.n_groups = 0
        self.cells_of: dict[str, int] = {}
        self.registered: list[str] = []
        self.ever_filled: set[str] = set()
        self.snapshots: dict[int, tuple[State, dict[str, int], list[str]]] = {}

    def teardown(self) -> None:
        self.directory.cleanup()

    @rule(genes=st.lists(st.sampled_from(GENES), max_size=6))
    def register(self, genes: list[str]) -> None:
        new = [gene for gene in dict.fromkeys(genes) if gene not in self.registered]
        n_added = self.atlas.register_features("gene_expression", [Gene(uid=g, symbol=g.upper()) for g in genes])
        assert n_added == len(new)
        self.registered += new

    @precondition(lambda self: self.registered)
    @rule(data=st.data(), n_cells=st.integers(0, 5))
    def add(self, data: st.DataObject, n_cells: int) -> None:
        genes = data.draw(st.lists(st.sampled_from(self.registered), unique=True, min_size=1))
        group = f"group{self.n_groups}"
        self.n_groups += 1
        add_described_dataset(self.atlas, group, genes, n_cells)
        self.cells_of[group] = n_cells
        if n_cells:
            self.ever_filled.add(group)

    @rule()
    def optimize(self) -> None:
        self.atlas.optimize()

    @rule()
    def snapshot(self) -> None:
        self.atlas.optimize()
        # Numbers go on although older snapshots were forgotten.
        number = max(self.snapshots, default=-1) + 1
        assert self.atlas.snapshot(f"snapshot {number}") == number
        seen = state_of(hox.RaggedAtlas.checkout_latest(self.root))
        assert seen == state_of(self.atlas)
        self.snapshots[number] = (seen, dict(self.cells_of), list(self.registered))

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(sorted(self.snapshots)))
        self.atlas = hox.RaggedAtlas.restore(self.root, version, Cell)
        seen, cells_of, registered = self.snapshots[version]
        assert state_of(self.atlas) == seen
        self.cells_of, self.registered = dict(cells_of), list(registered)

    @precondition(lambda self: any(self.cells_of.values()))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(sorted(g for g, n_cells in self.cells_of.items() if n_cells)))
        assert self.atlas.delete_dataset(group) == self.cells_of.pop(group)

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def prune(self, data: st.DataObject) -> None:
        kept = data.draw(st.sets(st.sampled_from(sorted(self.snapshots)))) | {max(self.snapshots)}
        report = self.atlas.prune(sorted(kept), confirm=True, min_age=datetime.timedelta(0))
        assert set(report.snapshots) == set(self.snapshots) - kept
        self.snapshots = {version: self.snapshots[version] for version in kept}
        needed = set(self.cells_of).union(*(cells_of for _, cells_of, _ in self.snapshots.values()))
        stored = {key.partition("/")[0] for key, _ in self.atlas.catalog.store.list("")} - {"zarr.json"}
        # Of a row without cells the arrays stay only while the row is in the latest state.
        assert needed & self.ever_filled <= stored <= needed

    @rule()
    def reopen(self) -> None:
        self.atlas = hox.RaggedAtlas.open(self.root, "cells", Cell)

    @invariant()
    def the_present_is_what_was_written(self) -> None:
        assert self.atlas.catalog.count_cells() == sum(self.cells_of.values())
        assert sorted(self.atlas.catalog.datasets.by_group()) == sorted(self.cells_of)
        assert sorted(self.atlas.catalog.registry("gene_expression").arrow()["uid"].to_pylist()) == sorted(
            self.registered
        )

    @invariant()
    def snapshots_stay(self) -> None:
        for version, (seen, _, _) in self.snapshots.items():
            assert state_of(hox.RaggedAtlas.checkout(self.root, version)) == seen


TestAtlasHistory = AtlasHistory.TestCase
TestAtlasHistory.settings = settings(max_examples=12, stateful_step_count=15)
