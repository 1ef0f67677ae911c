"""The place of an export: empty, or with what an export of the same died at, which the next one clears.

The claim at its root is there from before the first object to after the last commit, and lives and dies by the rules of
a group's claim. Only what such an export writes is ever removed; anything else may be somebody's.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from homeobox import _core
from homeobox.catalog import AtlasExistsError, AtlasLocation, Table, TableNotFoundError
from homeobox.catalog.array_store import open_store
from homeobox.catalog.creating import refuse_unless_empty
from homeobox.errors import ConflictError
from homeobox.ingest.claim import EXPORT_CLAIM, Claim, take_claim
from homeobox.ingest.claim_marker import is_alive
from homeobox.ingest.nesting import groups_above


@dataclass(frozen=True)
class ExportPlace:
    """Where an atlas is to be written.

    Attributes
    ----------
    groups
        Of arrays that will be there.
    tables
        Their names, the cell table last: once it is there, so is the atlas.
    """

    location: AtlasLocation
    store: _core.Store
    store_uri: str
    groups: frozenset[str]
    tables: tuple[str, ...]

    def claim(self) -> Claim:
        """Claim it, and clear it of what a dead export of the same left.

        Raises
        ------
        AtlasExistsError
            Another export writes there, or it holds something else. Nothing was removed.
        """
        marker = self.store.read(EXPORT_CLAIM)
        if marker is None:
            refuse_unless_empty(self.location, self.store, self.store_uri)
        elif not is_alive(marker):
            self._refuse_others()
        try:
            claim = take_claim(self.store, EXPORT_CLAIM, f"'{self.location}'", "export", self._clear_after_the_dead)
        except AtlasExistsError:
            raise
        except ConflictError as error:
            raise AtlasExistsError(f"another export writes to '{self.location}' at this moment: {error}") from error
        if self.location.table_names() or len(self.store.list("")) > 1:
            claim.release()  # another export came and finished since the place was looked at
            refuse_unless_empty(self.location, self.store, self.store_uri)
        return claim

    def give_up(self, claim: Claim) -> None:
        """After an error: leave nothing, unless the place is another's, or the last commit was made all the same."""
        try:
            if claim.is_ours() and not self._is_complete():
                self._clear(claim)
            claim.release()
        finally:
            claim.abandon()

    def _is_complete(self) -> bool:
        try:
            Table.open(self.location, self.tables[-1])
        except TableNotFoundError:
            return False
        return True

    def _refuse_others(self) -> None:
        if self._is_complete():
            raise AtlasExistsError(f"'{self.location}' holds an atlas. Nothing was changed")
        foreign = [key for key, _ in self.store.list("") if not self._is_own(key)]
        foreign += [f"table '{name}'" for name in self.location.table_names() if name not in self.tables]
        if foreign:
            raise AtlasExistsError(
                f"an export to '{self.location}' died, and this one does not clear what it left: there is more than it "
                f"would write itself, such as {foreign[0]}. Remove what is there, or choose another place"
            )

    def _is_own(self, key: str) -> bool:
        if key == "zarr.json" or key.startswith(EXPORT_CLAIM):
            return True
        above = groups_above(key)
        if not self.groups.isdisjoint(above):
            return True
        folder = key.removesuffix("/zarr.json")
        return folder != key and any(group.startswith(f"{folder}/") for group in self.groups)

    def _clear_after_the_dead(self, cleaner: Claim) -> None:
        self._refuse_others()  # nobody can write there from here on
        self._clear(cleaner)

    def _clear(self, claim: Claim) -> None:
        """Tables first: while objects are there, nobody takes the place for an empty one."""
        database = open_store(self.location.db_uri, self.location.store_kwargs)
        for name in self.tables:
            for key, _ in database.list(f"{name}.lance/"):
                claim.renew()
                database.remove(key)
            if not self.location.is_remote:
                shutil.rmtree(self.location.table_uri(name), ignore_errors=True)
        for key, _ in self.store.list(""):
            if self._is_own(key) and not key.startswith(EXPORT_CLAIM):
                claim.renew()
                self.store.remove(key)
