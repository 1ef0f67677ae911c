// Docstrings of the stores, apart from the code that they would drown.
#pragma once

namespace hox::bindings {

inline constexpr const char* kStoreDoc = R"(Where bytes live: a flat map from keys to immutable objects.

A key is ``"/"``-separated names, such as ``"group/csr/indices/c/0"``. Stores may be used from any number of threads;
every call releases the GIL.
)";

inline constexpr const char* kReadDoc = R"(Read a whole object.

Parameters
----------
key : str

Returns
-------
data : bytes or None
    None if there is no such object.

Raises
------
InvalidArgumentError
    The key is empty or has an empty, ``"."`` or ``".."`` component.
StoreError
    The request failed.
)";

inline constexpr const char* kReadRangesDoc = R"(Read half-open byte ranges of one object.

Parameters
----------
key : str
begins, ends : sequence of int, length n_ranges
    ``0 <= begins[i] <= ends[i] <= size``; any order, overlaps allowed.

Returns
-------
slices : list of bytes or None
    In the order asked; None if there is no such object.

Raises
------
InvalidArgumentError
    Lengths differ, or a range is negative.
StoreError
    A range leaves the object, or the request failed.
)";

inline constexpr const char* kReadSuffixDoc = R"(Read the end of an object in one request.

Parameters
----------
key : str
n_bytes : int
    At most this many bytes: the whole object if it is shorter.

Returns
-------
suffix : tuple of (bytes, int) or None
    The last bytes and the size of the whole object; None if there is no such object.
)";

inline constexpr const char* kSizeDoc = R"(Size of an object in bytes, without reading it.

Returns
-------
size : int or None
    None if there is no such object.
)";

inline constexpr const char* kWriteDoc = R"(Write or replace an object.

Readers see the old or the new bytes, never a mixture. Durable on return.

Parameters
----------
key : str
data : bytes-like
    Contiguous.

Raises
------
StoreError
    The request failed; the old object, if any, is still there.
)";

inline constexpr const char* kCreateDoc = R"(Write an object only if there is none, atomically among all writers.

Parameters
----------
key : str
data : bytes-like
    Contiguous.

Returns
-------
created : bool
    False if there is an object already, which is left as it is.
)";

inline constexpr const char* kRemoveDoc = R"(Remove an object. Removing one that is not there is not an error.)";

inline constexpr const char* kListDoc = R"(List the objects whose keys start with a prefix.

Parameters
----------
prefix : str, default ""
    Matched as text: ``"a/b"`` matches ``"a/bc"`` too.

Returns
-------
objects : list of (str, int)
    Keys, ascending, and sizes in bytes.
)";

inline constexpr const char* kDescribeDoc =
    R"(Text that names the store in messages, such as ``"file:///data/atlas"``.)";

inline constexpr const char* kFileStoreDoc = R"(Objects as files below one directory.

Writes are atomic and durable: a temporary file is flushed, then put in place. Reads map files; a file that another
process cuts short meanwhile raises `StoreError` and never ends the process.

Parameters
----------
root : str or os.PathLike
    Need not exist: the first write makes it.
)";

inline constexpr const char* kMemoryStoreDoc = R"(Objects in this process's memory.)";

inline constexpr const char* kObstoreStoreDoc =
    R"(Any store of the package obstore: S3, GCS, Azure, HTTP, local, memory.

One Python thread awaits obstore for all stores, so that threads of the core never run Python code and any number of
requests is in flight. Retries, timeouts and credentials are set on the obstore store.

Parameters
----------
store : obstore store
    Such as ``obstore.store.from_url("s3://bucket/atlas")``.

Raises
------
InvalidArgumentError
    The object is not a store of obstore.
UnsupportedError
    This process was forked from one that used an ObstoreStore.
)";

inline constexpr const char* kRetryingStoreDoc = R"(Repeats requests of another store that failed but may succeed later.

Parameters
----------
inner : Store
max_attempts : int, default 5
first_wait_s, max_wait_s : float
    The wait after the first failure, and the cap of the waits, which double each time.
)";

inline constexpr const char* kCountingStoreDoc = R"(Counts the requests and bytes that pass to another store.

Each range of `read_ranges` counts as one request, as a bucket would bill it.
)";

inline constexpr const char* kFailingStoreDoc = R"(Lets chosen requests to another store fail with `StoreError`.

Parameters
----------
inner : Store
fail_on : int
    Number of the first request to fail, counted from 1; 0 for none.
n_failures : int, default 1
    How many fail in a row.
retryable : bool, default False
)";

inline constexpr const char* kSlowStoreDoc = R"(Delays each request to another store.

Parameters
----------
inner : Store
delay_s : float
)";

}  // namespace hox::bindings
