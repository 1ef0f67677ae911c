// Docstrings of csr_writer.cc.
#pragma once

namespace hox::bindings {

inline constexpr const char* kCsrSummaryDoc =
    R"(What a writer wants to know of all entries of a matrix before the first.

Parameters
----------
n_features : int
    Columns of the matrix.
)";

inline constexpr const char* kCsrSummaryAddDoc = R"(Take the next entries into account. One pass on all threads.

Parameters
----------
indices : ndarray or FileArray of int32, uint32, int64 or uint64, shape (n,)
values : ndarray or FileArray, shape (n,)
    Any type but float16.
begin, end : int, optional
    Only these entries of both; by default all, and then there are as many of both.

Raises
------
InvalidArgumentError
    An index is outside [0, n_features), the two differ in length, or a file ends before its array does.
)";

inline constexpr const char* kTotalsDoc =
    "ndarray of float64, shape (n_features,): sum of the values of each feature. The same whatever the number of "
    "threads.";

inline constexpr const char* kCsrWriterDoc = R"(Writes the entries of a sparse group, row block by row block.

Rows are renumbered into stored feature order and sorted; entries with equal features keep their order. The arrays
appear when :meth:`finish` is called. Memory: some 16 MB per array. For one thread at a time.

Parameters
----------
store : Store
indices : tuple
    ``(path, dtype, entries, chunk, shard, codecs)`` of the array of stored features: its dtype is ``"uint32"``.
layers : list of tuple
    The same of each array of values.
n_features : int
order : ndarray of uint32, shape (n_features,), optional
    Local feature of each stored one; None keeps the numbering and only sorts.

Raises
------
InvalidArgumentError
    Something that cannot be written; `order` is no permutation.
ConflictError
    An array is there already.
)";

inline constexpr const char* kCsrWriterAppendDoc = R"(Write the next rows.

Parameters
----------
indptr : ndarray of int64, shape (n_rows + 1,)
    May start above 0: a slice of a larger matrix.
indices : ndarray or FileArray of int32, uint32, int64 or uint64
data : list of ndarray or FileArray
    One per layer, of its dtype; elements lie where those of `indices` do.

Raises
------
InvalidArgumentError
    An index is outside [0, n_features), indptr decreases or leaves an array, dtypes differ, there are more entries than the
    arrays have, or a file ends before its array does.
)";

inline constexpr const char* kCsrWriterFinishDoc =
    "Write what is left; list of (key, bytes, crc32c), one per object. InvalidArgumentError when entries are missing.";

}  // namespace hox::bindings
