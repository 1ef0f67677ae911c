// Docstring of transpose.cc.
#pragma once

namespace hox::bindings {

inline constexpr const char* kTransposeCsrDoc = R"(Write the entries of a sparse group once more, by feature.

Parameters
----------
store : Store
group : str
    Path of the group; the other paths are relative to it.
row_bounds : ndarray of int64, shape (n_cells + 1,)
    Entries ``row_bounds[i]`` to ``row_bounds[i + 1]`` belong to cell i; from 0 to the number of entries.
n_features : int
    Of the group's layout.
layers : list of (str, NewArray)
    Layers to write: where the values are, and what becomes of them. A NewArray is a tuple of path, elements of a
    chunk, elements of a shard (None: one object per chunk) and codecs as JSON. Values keep their dtype.
rows : NewArray or None
    The row numbers, uint32. None adds layers to row numbers that are there.
feature_bounds : NewArray
    Where each feature begins, int64, shape (n_features + 1,); written last. Not written without `rows`.
known_bounds : ndarray of int64, optional
    Without `rows`: the feature bounds that are there, for comparison.
indices_path, feature_order_path : str
    The features of the entries, and their stored order, which may be absent.
memory_bytes : int
    Working memory. What does not fit goes to a file without a name in `scratch_directory`.
scratch_directory : str
on_progress : callable, optional
    Called some times a second with the number of entries done, which runs to twice their number.

Returns
-------
list of (key, bytes, crc32c)
    The objects that were written, in order.

Raises
------
OutOfRangeError
    `row_bounds` end elsewhere than the entries.
ConflictError
    One of the new arrays is there.
CorruptDataError
    Stored bytes break FORMAT.md, an index is no feature, or the bounds are not `known_bounds`.

Notes
-----
For each feature, in layout order, the entries by ascending cell. Reads and writes everything once. Runs on both pools
without the GIL; Ctrl-C stops it.
)";

}  // namespace hox::bindings
