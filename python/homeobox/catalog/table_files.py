"""The files of one version of a table: which there are, and whether they still are what they were."""

import hashlib
import json
from collections.abc import Iterator

from homeobox import _core
from homeobox.catalog.array_store import open_store
from homeobox.catalog.location import AtlasLocation
from homeobox.catalog.tables import Table

_READ_BYTES = 16 << 20

#: Path below ``lance_db`` -> size and SHA-256, which is None for an atlas in a bucket: there a hash would cost reading
#: every table over the network.
FileDigests = dict[str, tuple[int, str | None]]


def digests_of(location: AtlasLocation, table: Table, known: FileDigests) -> FileDigests:
    """Digests of the files of a pinned table; those in `known` are taken from there, since files never change."""
    store = open_store(location.db_uri, location.store_kwargs)
    digests: FileDigests = {}
    for path in _paths(store, table):
        digests[path] = known[path] if path in known else _digest(store, path, content=not location.is_remote)
    return digests


def faults_of(location: AtlasLocation, recorded: FileDigests) -> Iterator[tuple[str, str]]:
    """What differs from what was recorded: (path, message), at most one per file."""
    store = open_store(location.db_uri, location.store_kwargs)
    for path, (n_bytes, sha256) in recorded.items():
        found = store.size(path)
        if found is None:
            yield path, f"file '{path}' of a recorded table version is gone"
        elif found != n_bytes:
            yield path, f"file '{path}' has {found} bytes, recorded were {n_bytes}"
        elif sha256 is not None and _digest(store, path, content=True)[1] != sha256:
            yield path, f"file '{path}' does not have the content that was recorded"


def files_of_fragments(table: Table) -> list[str]:
    """Data files and deletion files of the version that a table shows, as paths below ``lance_db``."""
    folder = f"{table.name}.lance"
    paths = []
    for fragment in table.dataset.get_fragments():
        paths += [f"{folder}/data/{file.path}" for file in fragment.metadata.files]
        deletions = fragment.deletion_file()
        if deletions:
            paths.append(f"{folder}/{deletions}")
    return paths


def to_json(digests: FileDigests) -> str:
    """As it is stored with a snapshot."""
    return json.dumps(digests, separators=(",", ":"))


def from_json(text: str) -> FileDigests:
    """The inverse of :func:`to_json`."""
    return {path: (int(n_bytes), sha256) for path, (n_bytes, sha256) in json.loads(text).items()}


def _paths(store: _core.Store, table: Table) -> list[str]:
    folder = f"{table.name}.lance"
    dataset = table.dataset
    # Lance names manifests in two ways; both are in use.
    newer = f"{folder}/_versions/{2**64 - 1 - dataset.version}.manifest"
    older = f"{folder}/_versions/{dataset.version}.manifest"
    return [newer if store.size(newer) is not None else older, *files_of_fragments(table)]


def _digest(store: _core.Store, path: str, *, content: bool) -> tuple[int, str | None]:
    n_bytes = store.size(path) or 0
    if not content:
        return n_bytes, None
    sha256 = hashlib.sha256()
    for begin in range(0, n_bytes, _READ_BYTES):
        pieces = store.read_ranges(path, [begin], [min(begin + _READ_BYTES, n_bytes)])
        sha256.update(pieces[0] if pieces else b"")
    return n_bytes, sha256.hexdigest()
