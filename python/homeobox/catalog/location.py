"""Where an atlas lies: its root, its table database, its array store, and how to reach them.

A root is a local path or a URL. The database is ``<root>/lance_db``, the arrays are under ``<root>/zarr_store``
unless the user gave a store of their own.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeobox.errors import InvalidArgumentError, StoreError

_URL = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+)://")
# Names that obstore knows and Lance does not, for one and the same place.
_SCHEME_FOR_LANCE = {"gcs": "gs", "azure": "az", "abfs": "az", "adl": "az", "s3a": "s3"}


@dataclass(frozen=True)
class AtlasLocation:
    """Addresses of one atlas. Makes no request except in :meth:`table_names`.

    Attributes
    ----------
    root : str
        Absolute path, or URL without a slash at its end.
    store_kwargs : dict
        As the user gave them, for ``obstore.store.from_url``.
    """

    root: str
    store_kwargs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, uri: str | os.PathLike[str], store_kwargs: dict[str, Any] | None = None) -> "AtlasLocation":
        """From what a user writes: the root or its ``lance_db``, with or without a slash at the end."""
        text = os.fspath(uri)
        if not text.strip():
            raise InvalidArgumentError("an atlas needs a path or URL, found an empty string")
        text = re.sub(r"(^|[/\\])lance_db$", "", text.rstrip("/\\"))
        scheme = url_scheme(text)
        if scheme == "file":
            text = text[len("file://") :]
            scheme = None
        if scheme is None:
            text = os.path.abspath(os.path.expanduser(text or os.sep))
        elif scheme in _SCHEME_FOR_LANCE:
            text = _SCHEME_FOR_LANCE[scheme] + text[len(scheme) :]
        return cls(text, dict(store_kwargs or {}))

    @property
    def is_remote(self) -> bool:
        """Whether the root is a URL of an object store."""
        return url_scheme(self.root) is not None

    @property
    def db_uri(self) -> str:
        """Directory of the tables."""
        return f"{self.root}/lance_db"

    @property
    def sibling_store_uri(self) -> str:
        """Where the arrays are by convention."""
        store = f"{self.root}/zarr_store"
        return store if self.is_remote else f"file://{store}"

    @property
    def storage_options(self) -> dict[str, str] | None:
        """`store_kwargs` as Lance wants them: strings, lower-case booleans; None when there are none."""
        options = self.store_kwargs.get("config") or self.store_kwargs
        text = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in options.items() if v is not None}
        return text or None

    def table_uri(self, name: str) -> str:
        """Address of one table."""
        return f"{self.db_uri}/{name}.lance"

    def table_names(self) -> list[str]:
        """Sorted names of the tables that exist. One listing.

        Raises
        ------
        StoreError
            The place cannot be listed.
        """
        if not self.is_remote:
            try:
                entries = os.listdir(self.db_uri)
            except (FileNotFoundError, NotADirectoryError):
                return []
            except OSError as error:
                raise StoreError(f"{self.db_uri} cannot be listed: {error.strerror}") from error
        else:
            import obstore  # only an atlas in a bucket pays for it
            from obstore.exceptions import BaseError
            from obstore.store import from_url

            try:
                store = from_url(self.db_uri, **self.store_kwargs)
                folders = obstore.list_with_delimiter(store)["common_prefixes"]
            except BaseError as error:
                raise StoreError(f"{self.db_uri} cannot be listed: {str(error).splitlines()[0]}") from error
            entries = [path.rsplit("/", 1)[-1] for path in folders]
        return sorted(entry.removesuffix(".lance") for entry in entries if entry.endswith(".lance"))

    def file_in_the_way(self) -> str | None:
        """A local file where the directory of the atlas, or one above it, would be."""
        if self.is_remote:
            return None
        for path in (Path(self.db_uri), Path(self.root), *Path(self.root).parents):
            if os.path.exists(path):  # unlike Path.exists() no error where it cannot be known; making it will tell
                return None if os.path.isdir(path) else str(path)
        return None

    def make_directories(self) -> None:
        """Create the local directories of a new atlas. StoreError where that is not possible."""
        if not self.is_remote:
            try:
                Path(self.db_uri).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{error.filename}: cannot make the directory: {error.strerror}") from error

    def __str__(self) -> str:
        return self.root


def registry_table_name(feature_space: str) -> str:
    """Name of the registry table of a feature space; fixed by the format."""
    return f"{feature_space}_registry"


def url_scheme(text: str) -> str | None:
    """Lower-case scheme of a URL, or None for a path (``C:\\data`` is a path)."""
    match = _URL.match(text)
    return match.group(1).lower() if match else None
