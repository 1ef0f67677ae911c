// Docstrings of zarr.cc.
#pragma once

namespace hox::bindings {

inline constexpr const char* kArrayDoc = R"(One Zarr v3 array, for reading. Safe to use from several threads.

Indexes of shards are read at their first use and kept, so an array that is written anew needs a new `Array`.
)";

inline constexpr const char* kOpenDoc = R"(Open an array.

Parameters
----------
store : Store
path : str
    Key of the array's node, without ``/zarr.json``.

Returns
-------
array : Array

Raises
------
NotFoundError
    There is no array.
UnsupportedError
    It uses a codec, a dtype or another part of Zarr that this package does not read; the message names it.
CorruptDataError
    Its metadata breaks the specification.

Notes
-----
One request.
)";

inline constexpr const char* kReadBoxDoc = R"(Read a box.

Parameters
----------
begin, end : list of int, one per axis
    ``0 <= begin <= end <= shape``.

Returns
-------
values : ndarray, shape ``end - begin``

Raises
------
OutOfRangeError
    The box leaves the array.
CorruptDataError
    A chunk cannot be decoded; the message names shard and chunk.
)";

inline constexpr const char* kReadAllDoc = R"(Read the whole array.)";

inline constexpr const char* kReadRowRangesDoc = R"(Read half-open ranges of rows (of elements, in one dimension).

Parameters
----------
begins, ends : ndarray of int64, shape (n_ranges,)
    ``0 <= begins[i] <= ends[i] <= shape[0]``; any order, overlaps allowed.

Returns
-------
values : ndarray, shape (sum(ends - begins), *shape[1:])
    The ranges one after another, in the order asked.

Raises
------
OutOfRangeError
    A range leaves the array.
CorruptDataError
    A chunk cannot be decoded; the message names shard and chunk.

Notes
-----
Each chunk is fetched and decoded once. From a remote store: one request for the index of a shard that was not used
before, then about one per touched shard, after joining gaps under 128 KiB.
)";

inline constexpr const char* kGroupDoc =
    R"(One stored group, for reading its arrays. Safe to use from several threads.

Where the group has a manifest, it is read once, and everything that is opened through the group is held against it:
the checksums of the metadata, which shards there are, and how long they are.
)";

inline constexpr const char* kOpenGroupDoc = R"(Open a group.

Parameters
----------
store : Store
path : str
    Key of the group's node; ``""`` is the root.

Returns
-------
group : Group

Raises
------
CorruptDataError
    Its metadata or its manifest is damaged.
UnsupportedError
    It was written in a newer format; the message names it.

Notes
-----
Two requests, at the same time. A group without metadata of its own opens too: its arrays may be there all the same.
)";

inline constexpr const char* kOpenMemberDoc = R"(Open an array of the group by its relative path.

Raises
------
NotFoundError, UnsupportedError, CorruptDataError
    As `Array.open`; a difference from the manifest is a CorruptDataError.
)";

inline constexpr const char* kArrayWriterDoc = R"(Writes one new array, front to back along axis 0.

Parameters
----------
store : Store
path : str
    Key of the array's node.
dtype : str
    Zarr name of the element type.
shape : list of int
    At least one axis.
chunk_shape : list of int
    The unit of decoding.
shard_shape : list of int or None
    The unit of storage, a multiple of `chunk_shape`. None: every chunk is an object.
codecs_json : str
    The list of codecs of a chunk, as in ``zarr.json``.
attributes_json : str, default "{}"
index_location : {"end", "start"}

Raises
------
InvalidArgumentError, UnsupportedError
    The array cannot be written so. Nothing was written.
ConflictError
    There is an array already.

Notes
-----
The fill value is zero. ``zarr.json`` is written by `finish`, so an unfinished array cannot be opened.
)";

inline constexpr const char* kAppendDoc = R"(Append rows.

Parameters
----------
rows : ndarray of the array's dtype, shape (n, *shape[1:])
    Any number of rows, up to the array's end. Copied to C order when it is not.

Notes
-----
Encodes on all CPU threads and writes each shard that is complete.
)";

inline constexpr const char* kFinishDoc = R"(Write what is left, and ``zarr.json``.

Returns
-------
objects : list of (key, bytes, crc32c)
    Every object of the array, for the manifest.

Raises
------
InvalidArgumentError
    Rows are missing.
)";

inline constexpr const char* kWriteArrayDoc = R"(Write an array that is in memory.

Parameters
----------
store, path, chunk_shape, shard_shape, codecs_json, attributes_json, index_location
    As for `ArrayWriter`.
data : ndarray, at least one axis

Returns
-------
objects : list of (key, bytes, crc32c)
)";

inline constexpr const char* kWriteGroupDoc = R"(Write the metadata of a group, unless it is there.

Parameters
----------
store : Store
path : str
    ``""`` is the root. Ancestors are not written.
attributes_json : str, default "{}"

Returns
-------
object : (key, bytes, crc32c)
    Of the metadata that is there afterwards.

Raises
------
ConflictError
    An array is there.
)";

inline constexpr const char* kFindGroupDoc = R"(Whether a group lies at a path. One small request.

Parameters
----------
store : Store
path : str
    ``""`` is the root.

Raises
------
CorruptDataError
    What lies there is not the metadata of a group.
UnsupportedError
    The group was written in a newer format; the message names it.
)";

inline constexpr const char* kWriteManifestDoc = R"(Write ``<group>/.hox-manifest``, the list of a group's objects.

Parameters
----------
store : Store
group_path : str
objects : list of (key, bytes, crc32c)
    As the writers return them: keys of the store, all below the group.

Returns
-------
object : (key, bytes, crc32c)
    Of the manifest itself.

Raises
------
InvalidArgumentError
    A key lies outside the group, or is listed twice.
)";

inline constexpr const char* kReadManifestDoc = R"(Read and verify a group's manifest.

Returns
-------
objects : list of (key, bytes, crc32c), or None
    In ascending order of key; None when there is no manifest.

Raises
------
CorruptDataError
    The manifest does not match its own checksum.
)";

}  // namespace hox::bindings
