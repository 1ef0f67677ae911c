"""Any query on any small atlas gives what SciPy gives for the sources."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_atlas import Dataset, add, checked_out, empty_atlas

UIDS = [f"gene{i}" for i in range(9)]
DTYPES = ["uint8", "int16", "int32", "uint32", "int64", "float32", "float64"]


@st.composite
def datasets(draw: st.DrawFn) -> list[Dataset]:
    found = []
    for number in range(draw(st.integers(1, 3))):
        panel = draw(st.lists(st.sampled_from(UIDS), min_size=1, max_size=len(UIDS), unique=True))
        n_cells = draw(st.integers(1, 6))
        dtype = np.dtype(draw(st.sampled_from(DTYPES)))
        entry = st.tuples(
            st.integers(0, n_cells - 1),
            st.integers(0, len(panel) - 1),
            # Zeros are entries too, and so are repeats of a place.
            st.sampled_from([0, 1, 2, 3, 100, 0.5]) if dtype.kind == "f" else st.integers(0, 100),
        )
        # A dataset without a single count is refused.
        entries = draw(st.lists(entry, min_size=1, max_size=25).filter(lambda made: any(value for *_, value in made)))
        entries.sort(key=lambda item: item[0])  # stable: rows keep their order inside
        rows, columns, values = (np.array(part) for part in zip(*entries, strict=True))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_cells))])
        matrix = sp.csr_matrix((values.astype(dtype), columns, indptr), shape=(n_cells, len(panel)))
        obs = pd.DataFrame(
            {
                "label": draw(st.lists(st.sampled_from(["a", "b", None]), min_size=n_cells, max_size=n_cells)),
                "number": draw(st.lists(st.integers(-3, 3), min_size=n_cells, max_size=n_cells)),
            }
        ).astype({"label": object})
        found.append(Dataset(f"group{number}", matrix, panel, obs))
    return found


@st.composite
def requests(draw: st.DrawFn) -> dict:
    return {
        "where": draw(st.sampled_from([None, "label = 'a'", "number > 0 AND label IS NOT NULL", "number = 77"])),
        "limit": draw(st.none() | st.integers(0, 12)),
        "offset": draw(st.none() | st.integers(0, 5)),
        "join": draw(st.sampled_from(["union", "intersection"])),
        "features": draw(st.none() | st.lists(st.sampled_from(UIDS), min_size=1, max_size=6)),
    }


def selected_rows(everything: pd.DataFrame, request: dict) -> pd.DataFrame:
    condition = {
        None: slice(None),
        "label = 'a'": everything["label"] == "a",
        "number > 0 AND label IS NOT NULL": (everything["number"] > 0) & everything["label"].notna(),
        "number = 77": everything["number"] == 77,
    }[request["where"]]
    rows = everything.loc[condition]
    begin = request["offset"] or 0
    end = None if request["limit"] is None else begin + request["limit"]
    return rows.iloc[begin:end]


def run(atlas, request: dict):
    query = atlas.query().feature_join(request["join"])
    for name in ("where", "limit", "offset"):
        if request[name] is not None:
            getattr(query, name)(request[name])
    if request["features"] is not None:
        query.features(request["features"], "gene_expression")
    return query


def check(atlas, sources: list[Dataset], request: dict) -> None:
    everything = pd.concat([d.obs.assign(source=i, row=range(len(d.obs))) for i, d in enumerate(sources)])
    rows = selected_rows(everything, request)
    query = run(atlas, request)
    assert query.count() == len(rows)
    assert query.to_polars()["number"].to_list() == rows["number"].tolist()

    result = query.to_anndata()
    assert result.n_obs == len(rows)
    if not len(rows):
        return
    touched = sorted(set(rows["source"]))
    panels = [set(sources[i].uids) for i in touched]
    wanted = set.union(*panels) if request["join"] == "union" else set.intersection(*panels)
    if request["features"] is not None:
        wanted = set(request["features"])
    assert set(result.var_names) == wanted
    assert result.obs["number"].tolist() == rows["number"].tolist()
    if not wanted:
        return
    assert result.X.dtype == np.result_type(*(sources[i].matrix.dtype for i in touched))
    assert result.var["global_index"].is_monotonic_increasing
    column = {uid: i for i, uid in enumerate(result.var_names)}
    expected = np.zeros(result.shape)
    measured = np.zeros(result.shape, dtype=bool)
    for at, (source, row) in enumerate(zip(rows["source"], rows["row"], strict=True)):
        # As float64, since a sum of repeats may be too large for the stored type.
        values = sources[source].matrix[row].astype(np.float64).toarray()[0]
        for uid, value in zip(sources[source].uids, values, strict=True):
            if uid in column:
                expected[at, column[uid]] = value
                measured[at, column[uid]] = True
    np.testing.assert_array_equal(result.X.astype(np.float64).toarray(), expected)
    np.testing.assert_array_equal(result.varm["measured"][:, result.obsm["layout"][:, 0]].T, measured)
    # Entries keep their number: stored zeros and repeats are not lost, and columns ascend inside rows.
    if request["features"] is None and request["join"] == "union":
        assert result.X.nnz == sum(
            sources[s].matrix.indptr[r + 1] - sources[s].matrix.indptr[r]
            for s, r in zip(rows["source"], rows["row"], strict=True)
        )
    ascending = np.diff(result.X.indices) >= 0
    ascending[[end - 1 for end in result.X.indptr[1:-1] if 0 < end < result.X.nnz]] = True
    assert ascending.all()


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    datasets(),
    st.lists(requests(), min_size=1, max_size=8),
    st.sampled_from(["bp128", "bitpacking"]),
    st.sampled_from(["expression", "as_given"]),
)
def test_queries_equal_the_same_queries_on_the_sources(sources, asked, codec, order):
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AnnData on integers and on names that repeat
        folder = Path(name)
        atlas = empty_atlas(folder, {"gene_expression": UIDS})
        for source in sources:
            assert add(atlas, source, codec=codec, feature_order=order) == len(source.obs)
        snapshot = checked_out(atlas, folder)
        for request in asked:
            check(snapshot, sources, request)
