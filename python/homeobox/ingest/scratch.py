"""Where files without a name go that hold what does not fit into memory."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from homeobox.catalog.array_store import local_path
from homeobox.catalog.location import url_scheme

if TYPE_CHECKING:
    from homeobox.catalog import Catalog


def scratch_directory(catalog: Catalog) -> str:
    """Of an ingest into an atlas."""
    return scratch_beside(catalog.store_uri)


def scratch_beside(store_uri: str) -> str:
    """Beside the arrays there is room for what is about as large as they are; /tmp may be memory itself."""
    if url_scheme(store_uri) in (None, "file") and os.path.isdir(local_path(store_uri)):
        return local_path(store_uri)
    return tempfile.gettempdir()
