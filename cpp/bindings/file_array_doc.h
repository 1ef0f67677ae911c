// Docstrings of file_array.cc.
#pragma once

namespace hox::bindings {

inline constexpr const char* kFileLayoutDoc =
    R"(Where the chunks of a one-dimensional array lie in a file, as plain bytes.

Parameters
----------
name : str
    For messages.
dtype : str
    Zarr's name of the elements' type.
n_elements, chunk_elements : int
    The last chunk may hold fewer.
offsets : ndarray of int64, shape (n_chunks,)
    First byte of each chunk.

Raises
------
InvalidArgumentError
    A type that is none, or a negative offset.
)";

inline constexpr const char* kFileLayoutOpenDoc = R"(The array in the open file `descriptor`, which may be closed then.

Raises
------
InvalidArgumentError
    The number of chunks is not that of the elements.
StoreError
    The descriptor is not open.
)";

inline constexpr const char* kFileArrayDoc =
    "An array in an open file; made by :meth:`FileLayout.open`. Several threads may read it at once.";

inline constexpr const char* kFileArrayReadDoc =
    R"(Fill `out` with the elements from `begin`, in the byte order of the file.

Parameters
----------
begin : int
out : ndarray, shape (n,), writable
    Elements of the array's size.

Raises
------
InvalidArgumentError
    Elements outside the array, or the file ends before them.
StoreError
    The file cannot be read.
)";

inline constexpr const char* kFileArrayCloseDoc =
    "Close the file, whose locks hold as long as it is open somewhere. Any later use is an InvalidArgumentError.";

inline constexpr const char* kFileArrayPrefetchDoc =
    "Ask the kernel to have elements [begin, end) at hand soon; does not wait, and what lies outside is ignored.";

}  // namespace hox::bindings
