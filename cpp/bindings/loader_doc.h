// Docstrings of loader.cc.
#pragma once

namespace hox::bindings {

inline constexpr const char* kBatchLoaderDoc = R"(CSR batches of cells of many groups, decoded ahead of their use.

Parameters
----------
groups : list of SparseGroup
remaps : list of ndarray of int32, shape (n_local_features,)
    Per group the column of each feature of its layout; every feature has one.
layer : str
    Path of the layer inside each group.
group_of_cell : ndarray of int32, shape (n_cells,)
    Position in `groups`; -1 for a cell without data, which becomes an empty row.
begins : ndarray of int64, shape (n_cells,)
lengths : ndarray of uint32, shape (n_cells,)
    Elements of each cell in its group's arrays.
n_columns : int
dtype : str
    Of the values; holds every value of every group.
batch_size : int
shuffle : bool
    Each epoch is a uniform random permutation of all cells, fixed by `seed` and the epoch's number.
seed : int
drop_last : bool
    Leave out a last batch that is short.
memory_bytes : int
    Bound of the memory of all batches, those that the caller still holds included. A caller that holds more than that
    gets one batch at a time.

Notes
-----
Takes 20 bytes per cell for pointers and order. One consumer at a time.
)";

inline constexpr const char* kBatchLoaderRestartDoc =
    "Give up what is in flight and begin an epoch. Epochs of one seed and number are equal.";

inline constexpr const char* kBatchLoaderNextDoc = R"(The next batch, or None after the last.

Returns
-------
cells : ndarray of uint32, shape (n_rows,)
    Position of each row among the cells that the loader was made of.
offsets : ndarray of int64, shape (n_rows + 1,)
indices : ndarray of int32, shape (n_entries,)
    Columns, in the order in which the group stores its features: not ascending.
values : ndarray, shape (n_entries,)
    Views of the batch's own memory, which is used again when the last of them is gone.

Raises
------
CorruptDataError
    A checksum fails; names array, shard and chunk.
)";

}  // namespace hox::bindings
