"""An atlas written anew elsewhere: the state of one snapshot, in the codec that is asked for.

Order: a claim on the place, the arrays, all tables, and the cell table last, in one commit. So a copy that died on
the way does not open, and a copy that opens is complete; the same call, once more, clears what the dead one left.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox import _core
from homeobox.catalog import AtlasLocation, Catalog, ValidationFailedError, validate
from homeobox.catalog.array_store import ROOT_ATTRIBUTES, open_store
from homeobox.catalog.copying import copied_tables, copy_tables
from homeobox.catalog.sql import quote, quote_column
from homeobox.errors import HomeoboxError, InvalidArgumentError
from homeobox.export.groups import GroupCopy
from homeobox.export.place import ExportPlace
from homeobox.export.recorded import check_recorded
from homeobox.ingest.claim import Claim
from homeobox.ingest.encoding import Codec, make_encoding
from homeobox.ingest.progress import row_progress
from homeobox.schema import get_spec

if TYPE_CHECKING:
    import os


def export_atlas(
    catalog: Catalog,
    path: str | os.PathLike[str],
    codec: Codec = "bitpacking",
    store_kwargs: dict[str, Any] | None = None,
) -> None:
    """Write the state that a checked-out catalog shows to an empty place. As `RaggedAtlas.export` documents."""
    if not catalog.read_only:
        raise InvalidArgumentError("export needs an atlas that is checked out at a snapshot, which stays as it is")
    make_encoding(codec, 1, None, None)
    faults = validate(catalog)
    if faults:
        raise ValidationFailedError(faults)
    location = AtlasLocation.parse(path, store_kwargs)
    store_uri = location.sibling_store_uri
    store = open_store(store_uri, store_kwargs)
    groups = catalog.groups_with_cells()
    place = ExportPlace(location, store, store_uri, groups, copied_tables(catalog))
    claim = place.claim()
    try:
        _core.write_group(store, "", ROOT_ATTRIBUTES)
        _copy_groups(catalog, groups, store, codec, claim)
        check_recorded(catalog)
        copy_tables(catalog, groups, location, store_uri, before_commit=partial(_confirm, catalog, claim))
    except BaseException:
        with contextlib.suppress(HomeoboxError):  # the first error is the one to see
            place.give_up(claim)
        raise
    claim.release()


def _confirm(catalog: Catalog, claim: Claim) -> None:
    check_recorded(catalog)
    claim.confirm()


def _copy_groups(catalog: Catalog, groups: frozenset[str], store: _core.Store, codec: Codec, claim: Claim) -> None:
    datasets = {group: row for group, row in catalog.datasets.by_group().items() if group in groups}
    unknown = sorted(groups - set(datasets))
    if unknown:
        raise InvalidArgumentError(f"cells point to group(s) {unknown[:5]} that no dataset describes")
    with row_progress(f"export to {store.describe()}", sum(row["n_cells"] for row in datasets.values())) as advance:
        for group, row in datasets.items():
            n_features = len(catalog.layouts.read(row["layout_uid"])[0]) if row["layout_uid"] else 0
            spec = get_spec(row["feature_space"])
            bounds = partial(row_bounds, catalog, group, spec.feature_space)
            claim.confirm()
            GroupCopy(catalog.store, store, group, spec, n_features, codec, bounds).run()
            advance(row["n_cells"])


def row_bounds(catalog: Catalog, group: str, field: str) -> np.ndarray | None:
    """Where the rows of a sparse group begin and the last one ends, from the cells' pointers.

    None if they do not follow one another from the first entry on, as 0.2.2 allows.
    """
    columns = [f"{field}.{child}" for child in ("zarr_row", "start", "end")]
    cells = catalog.scan_cells(columns, where=f"{quote_column(field)}.zarr_group = {quote(group)}")
    rows, begins, ends = (cells[column].to_numpy() for column in columns)
    order = np.argsort(rows, kind="stable")
    rows, begins, ends = rows[order], begins[order], ends[order]
    whole = np.array_equal(rows, np.arange(len(rows))) and begins[0] == 0 and np.array_equal(begins[1:], ends[:-1])
    return np.append(begins, ends[-1:]).astype(np.int64, copy=False) if whole else None
