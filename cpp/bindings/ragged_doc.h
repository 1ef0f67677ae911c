// Docstrings of ragged.cc.
#pragma once

namespace hox::bindings {

inline constexpr const char* kSparseGroupDoc = R"(One dataset's flat CSR arrays below ``<group>/``.

Parameters
----------
store : Store
group : str
    Path of the group in the store.
indices_path, feature_order_path : str
    Relative to the group. The feature order may be absent: features are then stored as given.

Raises
------
NotFoundError
    No such group.
CorruptDataError
    The arrays break FORMAT.md, or differ from the group's manifest.
UnsupportedError
    The group was written in a newer format.
)";

inline constexpr const char* kFeatureOrderPropertyDoc =
    "Local feature of each stored one, ndarray of uint32, shape (n_features,); None when they are the same.";

inline constexpr const char* kLayerDtypeDoc =
    "dtype of a layer by its path relative to the group, such as ``csr/layers/counts``. Raises NotFoundError.";

inline constexpr const char* kGatherCsrDoc = R"(Gather rows of several groups into one CSR matrix.

Parameters
----------
groups : list of SparseGroup
remaps : list of ndarray of int32, shape (n_local_features,)
    Per group the result's column of each feature of its layout; -1 leaves the feature out.
layer : str
    Path of the layer inside each group.
group_of_cell : ndarray of int32, shape (n_cells,)
    Position in `groups`; -1 for a cell without data, which becomes an empty row.
begins, ends : ndarray of int64, shape (n_cells,)
    Half-open element range of each cell in its group's arrays.
n_columns : int
dtype : str
    Of the result; holds every value of every group.
sort : bool
    Ascending columns inside each row. Otherwise the order in which the group stores its features.

Returns
-------
indptr : ndarray of int64, shape (n_cells + 1,)
indices : ndarray of int32, shape (n_entries,)
data : ndarray of `dtype`, shape (n_entries,)
    Rows in the order of the cells. Duplicate and explicit-zero entries are kept.

Raises
------
OutOfRangeError
    A cell's range leaves its group.
CorruptDataError
    A checksum fails or a feature is unknown; names array, shard and chunk.

Notes
-----
Reads the blocks of 128 elements under each range, and the checksum groups around them. Runs on the CPU pool without
the GIL; Ctrl-C stops it.
)";

inline constexpr const char* kGatherDenseDoc = R"(Gather rows of several two-dimensional layers into one float32 matrix.

Parameters
----------
layers : list of Array
    Each of shape (n_cells of the group, n_local_features).
remaps : list of ndarray of int32, shape (n_local_features,)
    Per layer the result's column of each feature; -1 leaves the feature out.
group_of_cell : ndarray of int32, shape (n_cells,)
    Position in `layers`; -1 for a cell without data.
positions : ndarray of int64, shape (n_cells,)
    Row of each cell in its layer.
n_columns : int

Returns
-------
ndarray of float32, shape (n_cells, n_columns)
    Zero where a cell's group has no such feature.
)";

inline constexpr const char* kFeatureOrderDoc =
    R"(Order in which a group stores its features: falling totals, ties by position.

Parameters
----------
totals : ndarray of float64, shape (n_features,)

Returns
-------
ndarray of uint32, shape (n_features,)
    Local feature of each stored one.
)";

inline constexpr const char* kReorderCsrDoc = R"(Renumber the features of CSR rows into stored order and sort each row.

Parameters
----------
indptr : ndarray of int64, shape (n_rows + 1,)
    May start above 0: a slice of a larger matrix.
indices : ndarray of int32, uint32, int64 or uint64
data : list of ndarray, each as long as `indices`
n_features : int
order : ndarray of uint32, shape (n_features,), optional
    Local feature of each stored one; None keeps the numbering and only sorts.

Returns
-------
indices : ndarray of uint32, shape (indptr[-1] - indptr[0],)
data : list of ndarray
    The same dtypes, permuted alongside. Entries with equal features keep their order.

Raises
------
InvalidArgumentError
    An index is outside [0, n_features), indptr decreases or `data` has another length.
)";

}  // namespace hox::bindings
