"""Where files without a name go that hold what does not fit into memory."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from homeobox.catalog.array_store import local_path
from homeobox.catalog.location import url_scheme

if TYPE_CHECKING:
    from homeobox.catalog import Catalog


def scratch_directory(catalog: Catalog) -> str:
    """Beside the arrays there is room for what is about as large as they are; /tmp may be memory itself."""
    if url_scheme(catalog.store_uri) in (None, "file"):
        return local_path(catalog.store_uri)
    return tempfile.gettempdir()
