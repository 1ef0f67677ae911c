"""obs and var of an h5ad file, as any version of AnnData stored them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from homeobox.errors import InvalidArgumentError

if TYPE_CHECKING:
    import h5py
    import pandas as pd

# Where AnnData before 0.7 kept the names.
_INDEX_FIELDS = ("index", "_index", "obs_names", "var_names", "row_names", "col_names")


def read_frame(file: h5py.File, key: str, name: str, names: bool = True) -> pd.DataFrame:
    """The frame at `key`; without `names` its rows may be numbered, since HDF5 reads some 3 million names a second.

    Raises
    ------
    InvalidArgumentError
        There is none, or it is no frame.
    """
    import pandas as pd
    from anndata.io import read_elem

    if key not in file:
        raise InvalidArgumentError(f"{name} has no '{key}'; found {sorted(file)}")
    element = file[key]
    if hasattr(element, "keys"):
        frame = read_elem(element) if names else _columns(element)
    elif element.dtype.names:
        frame = _structured_frame(file, key, element[()])
    else:
        frame = None
    if not isinstance(frame, pd.DataFrame):
        raise InvalidArgumentError(f"'{key}' of {name} is not a table that AnnData wrote")
    return frame


def _columns(element: h5py.Group) -> Any:
    """The columns of a frame, without its index; of other elements what AnnData makes of them."""
    import pandas as pd
    from anndata.io import read_elem

    attributes = element.attrs
    index = element.get(attributes.get("_index", ""))
    # Before version 0.2.0 a categorical column names its categories elsewhere; an index of categories or of text that
    # may be missing is a group.
    if attributes.get("encoding-version") != "0.2.0" or getattr(index, "ndim", 0) != 1:
        return read_elem(element)
    columns = {str(field): read_elem(element[field]) for field in attributes["column-order"]}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(index)))


def _structured_frame(file: h5py.File, key: str, records: np.ndarray) -> pd.DataFrame:
    """AnnData before 0.7 stored one record per row, and categories as codes beside a list in uns."""
    import pandas as pd

    fields = {field: decoded(records[field]) for field in records.dtype.names or ()}
    index = next((field for field in _INDEX_FIELDS if field in fields), None)
    names = fields.pop(index) if index is not None else None
    frame = pd.DataFrame(fields, index=None if names is None else pd.Index(names))
    uns = file.get("uns")
    for field in frame.columns:
        categories = None if uns is None or not hasattr(uns, "get") else uns.get(f"{field}_categories")
        if categories is not None and frame[field].dtype.kind in "iu":
            labels = decoded(np.atleast_1d(categories[()]))
            if len(frame) and int(frame[field].max()) >= len(labels):
                raise InvalidArgumentError(f"'{key}/{field}' has codes beyond its {len(labels)} categories")
            frame[field] = pd.Categorical.from_codes(frame[field].to_numpy(), categories=labels)
    return frame


def decoded(values: np.ndarray) -> np.ndarray:
    """Text as str; numbers in native byte order, as pandas wants them."""
    if values.dtype.kind in "SO":
        return np.array([item.decode() if isinstance(item, bytes) else item for item in values], dtype=object)
    return values.astype(values.dtype.newbyteorder("="), copy=False)
