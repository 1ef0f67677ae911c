"""Opening the array store of an atlas: which store of the core serves which address.

Local files go to the core's own file store; everything else goes through obstore. The address is recorded with each
snapshot, without credentials.
"""

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from homeobox import _core
from homeobox.catalog.location import AtlasLocation, url_scheme
from homeobox.errors import InvalidArgumentError

ROOT_ATTRIBUTES = '{"homeobox": {"format": 1}}'


def open_store(uri: str, store_kwargs: dict[str, Any] | None = None) -> _core.Store:
    """A store for an address, as it is recorded or written by a user. Local directories need not exist yet."""
    scheme = url_scheme(uri)
    if scheme in (None, "file"):
        return _core.FileStore(local_path(uri))
    if scheme == "memory":
        raise InvalidArgumentError("arrays in memory end with their process: pass the store itself (store=...)")
    from obstore.store import from_url  # only an atlas in a bucket pays for it

    return _core.ObstoreStore(from_url(uri, **(store_kwargs or {})))


def adopt_store(store: Any) -> tuple[_core.Store, str]:
    """The core's store for one that a user gave, and the address to record for it.

    Parameters
    ----------
    store : obstore store, _core.Store, str or Path
        Where the arrays are.

    Raises
    ------
    InvalidArgumentError
        Something else.
    """
    if isinstance(store, _core.Store):
        return store, store.describe()
    if isinstance(store, str | Path):
        uri = str(store) if url_scheme(str(store)) else f"file://{Path(store).resolve()}"
        return open_store(uri), uri
    kind = type(store).__name__
    if not hasattr(store, "get_range") and not type(store).__module__.startswith("obstore"):
        raise InvalidArgumentError(f"store must be an obstore store or a path, found {kind}")
    if kind == "LocalStore":
        if store.prefix is None:
            raise InvalidArgumentError("a LocalStore needs a prefix: the directory of the arrays")
        path = Path(store.prefix).resolve()
        return _core.FileStore(str(path)), f"file://{path}"
    return _core.ObstoreStore(store), _address_of(store, kind)


_SCHEME_AND_BUCKET = {
    "S3Store": ("s3", "bucket"),
    "GCSStore": ("gs", "bucket"),
    "AzureStore": ("az", "container_name"),
}


def _address_of(store: Any, kind: str) -> str:
    if kind == "HTTPStore":
        return str(store.url).rstrip("/")
    if kind not in _SCHEME_AND_BUCKET:
        return "memory://"
    scheme, key = _SCHEME_AND_BUCKET[kind]
    config = {str(k).lower().removeprefix("aws_").removeprefix("azure_"): v for k, v in store.config.items()}
    prefix = str(store.prefix or "").strip("/")
    return f"{scheme}://{config.get(key, '')}/{prefix}".rstrip("/")


def local_path(uri: str) -> str:
    """The path of a ``file://`` address, or of a path."""
    if url_scheme(uri) is None:
        return uri
    # 0.2.2 records "file://" and the path as it is; other tools escape it. What exists is what is meant.
    plain = uri[len("file://") :]
    unescaped = unquote(plain)
    return unescaped if not Path(plain).exists() and Path(unescaped).exists() else plain


def holds_root(store: _core.Store) -> bool:
    """Whether the root group of an atlas lies in a store. One small read.

    Raises
    ------
    CorruptDataError
        Its metadata is damaged.
    UnsupportedError
        A newer version wrote the arrays, in a format that this one does not know.
    """
    return _core.find_group(store, "")


def find_store(location: AtlasLocation, recorded_uri: str) -> tuple[_core.Store, str]:
    """The arrays of an existing atlas: beside its tables if they are there, else where the record says.

    The neighbour comes first, so that a copy reads its own arrays and a moved atlas finds them; a store that the
    user keeps elsewhere has no neighbour.

    Raises
    ------
    InvalidArgumentError
        The atlas was made with a store in memory.
    """
    sibling_uri = location.sibling_store_uri
    sibling = open_store(sibling_uri, location.store_kwargs)
    if recorded_uri in ("", sibling_uri) or holds_root(sibling):
        return sibling, sibling_uri
    return open_store(recorded_uri, location.store_kwargs), recorded_uri
