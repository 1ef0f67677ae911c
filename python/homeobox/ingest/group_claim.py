"""The claim on a group: one small object that says who is writing there.

A fresh group is claimed by a conditional create of ``<group>/.hox-ingest``, so of two writers one gets it. A group
that has cells, now or in a snapshot, is taken for good; a claim whose writer is alive is respected; a claim whose
writer died is leftovers, and so is a finished group that nothing records any more: the next ingest of that name
removes them and starts again. Who lives is for claim.py to say.

Groups of datasets do not lie inside one another: a claim is refused beside one above or below it (nesting.py), and what
removes a group leaves alone what is another's all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from homeobox import _core
from homeobox.errors import ConflictError, HomeoboxError, InvalidArgumentError
from homeobox.ingest.claim import Claim, create_claim, is_marker, remove_dead_cleaners, replace_dead
from homeobox.ingest.claim_marker import is_alive
from homeobox.ingest.group_removal import marker_key, remove_objects
from homeobox.ingest.nesting import MANIFEST, groups_above, groups_below, is_part
from homeobox.ingest.nesting import MARKER as MARKER

_BY = "ingest"


class GroupClaim:
    """A held claim. Use as a context manager: leaving it by an error removes everything written to the group."""

    def __init__(self, store: _core.Store, group: str, claim: Claim, *, holds_whole_group: bool = False) -> None:
        self._store = store
        self._group = group
        self._claim = claim
        self._keep = False
        self._holds_whole_group = holds_whole_group

    def renew(self) -> None:
        """Tell others that the writer lives; call often, it writes once a minute. Errors as :meth:`confirm`."""
        self._claim.renew()

    def confirm(self) -> None:
        """Ask whether the group is still ours.

        Raises
        ------
        ConflictError
            Another ingest took this writer for dead, and the group over.
        """
        self._claim.confirm()

    def keep_objects(self) -> None:
        """From here on an error removes nothing: cells may point to it. If none do, the next ingest clears it."""
        self._keep = True

    def give_up_objects(self) -> None:
        """What :meth:`keep_objects` made allowance for is known not to have happened: an error removes all again."""
        self._keep = False

    def remove_objects(self) -> None:
        """Remove everything below the group but the claim. Errors as :meth:`confirm`; the marker stays then, so that
        the rest is known to be leftovers."""
        self.confirm()
        kept, self._keep = self._keep, True
        remove_objects(self._store, self._group, self._claim)
        self._keep = kept

    def release(self) -> None:
        """Take the marker away if it is still ours, and stop holding it."""
        self._claim.release()

    def abandon(self) -> None:
        """Stop holding it; what it left is removed by whoever asks for the name next."""
        self._claim.abandon()

    def __enter__(self) -> GroupClaim:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        try:
            if exc_type is not None and self._keep:
                return
            if exc_type is not None and not self._holds_whole_group:
                self._claim.confirm()  # what lies there may have become another's
                remove_objects(self._store, self._group, self._claim)
            self._claim.release()
        except HomeoboxError:
            # The first error is the one to see, and what stays is leftovers, which the next ingest of the name removes.
            pass
        finally:
            self.abandon()


def claim_group(
    store: _core.Store,
    group: str,
    check_free: Callable[[], object],
    *,
    replace_unclaimed: bool = False,
    forget_dead: Callable[[], object] = lambda: None,
    may_be_nested: bool = False,
) -> GroupClaim:
    """Claim `group`, which is a dataset's, or a part of one such as its feature-major copy or a layer.

    Parameters
    ----------
    check_free
        Raises if the group is whole, as when cells point to it, now or in a snapshot. Asked when its writer is known
        to be dead and can hold it no more, right before what it left is removed: asked any earlier, the writer could
        still commit in between, and whole data would be removed.
    replace_unclaimed
        Objects that nobody claims are leftovers as well, unless `check_free` raises.
    forget_dead
        Removes what else a dead writer left, such as its dataset row. Called while nobody can claim the group, before
        its objects and its claim go, which are what says that the rest is leftovers.
    may_be_nested
        For those who only clear what is there: a finished or dead group above or below is no obstacle, and stays.

    Raises
    ------
    ConflictError
        Another writer holds it, or a group above or below it, or died there.
    InvalidArgumentError
        Objects lie there that no ingest of ours left, or a finished group lies above or below.
    """
    key = marker_key(group)
    existing = store.read(key)
    _refuse_nested(store, group, may_be_nested=may_be_nested)
    if existing is None:
        remove_dead_cleaners(store, key, _described(group), _BY)
        objects = store.list(f"{group}/")
        if objects and not replace_unclaimed:
            check_free()
            _refuse_foreign(store, group, objects)
            replace_unclaimed = True  # a finished ingest left it, and nothing records its cells since a restore
    elif is_alive(existing):
        raise ConflictError(f"zarr group '{group}' is being written by another ingest: {existing.decode()}")
    else:

        def remove(cleaner: Claim) -> None:
            try:
                check_free()
            except InvalidArgumentError:
                cleaner.confirm()
                store.remove(key)  # the writer died between its commit and taking its marker away
                raise
            cleaner.confirm()
            forget_dead()
            remove_objects(store, group, cleaner)

        replace_dead(store, key, existing, remove, _described(group), _BY)
    claim = _new_claim(store, group, may_be_nested=may_be_nested)
    if replace_unclaimed:
        _remove_unclaimed(check_free, claim)
    return claim


def hold_group(store: _core.Store, group: str) -> GroupClaim:
    """Claim a group as it is, so that nobody writes there while its rows or its objects are removed.

    Leaving the claim removes nothing but the marker, after an error too.

    Raises
    ------
    ConflictError
        A living writer holds it, or a part of it.
    """
    key = marker_key(group)
    dead = None
    for marker in markers_among(store, (key for key, _ in store.list(f"{group}/"))):
        if is_alive(marker.content):
            raise ConflictError(
                f"zarr group '{marker.path}' is being written by another process: {marker.content.decode()}"
            )
        if marker.key == key:
            dead = marker.content
    if dead is not None:
        replace_dead(store, key, dead, lambda cleaner: None, _described(group), _BY)
    else:
        remove_dead_cleaners(store, key, _described(group), _BY)
    return _new_claim(store, group, holds_whole_group=True, may_be_nested=True)


@dataclass(frozen=True)
class Marker:
    """A stored marker: who claims a path, or clears it of what a dead writer left."""

    key: str
    content: bytes

    @property
    def path(self) -> str:
        """The claimed path."""
        return self.key.rpartition("/")[0]

    @property
    def is_cleaner(self) -> bool:
        """Whether it says who clears the path, or who clears the claim of such a one."""
        return self.key != marker_key(self.path)


def markers_among(store: _core.Store, keys: Iterable[str]) -> list[Marker]:
    """The markers among the keys of a listing, read."""
    found = []
    for key in keys:
        if is_marker(key.rpartition("/")[2], MARKER) and (content := store.read(key)) is not None:
            found.append(Marker(key, content))
    return found


def _new_claim(
    store: _core.Store, group: str, *, holds_whole_group: bool = False, may_be_nested: bool = False
) -> GroupClaim:
    claim = create_claim(store, marker_key(group), _described(group), _BY)
    try:
        # Once more, now that whoever asks for a group above or below sees this marker: of two at least one gives way.
        _refuse_nested(store, group, may_be_nested=may_be_nested)
    except BaseException:
        claim.release()
        raise
    return GroupClaim(store, group, claim, holds_whole_group=holds_whole_group)


def _refuse_nested(store: _core.Store, group: str, *, may_be_nested: bool) -> None:
    above = groups_above(group)
    below = groups_below(group, [key for key, _ in store.list(f"{group}/")])
    for other in [*above, *below]:
        marker = store.read(marker_key(other))
        if marker is not None and is_alive(marker):
            raise ConflictError(
                f"zarr group '{other}', which '{group}' would lie {'inside' if other in above else 'around'}, is being "
                f"written by another process: {marker.decode()}"
            )
        ours = is_part(group, other) if other in above else is_part(other, group)
        whole = store.size(f"{other}/{MANIFEST}") is not None
        if may_be_nested or (ours and (other in above or not whole)):
            continue
        where = f"zarr_group '{group}' would lie {'inside' if other in above else 'around'} the group '{other}'"
        if whole:
            raise InvalidArgumentError(f"{where} of another dataset; choose another zarr_group")
        if marker is not None:
            raise ConflictError(f"{where}, which an ingest that died has left; clean() removes it")


def _refuse_foreign(store: _core.Store, group: str, objects: list[tuple[str, int]]) -> None:
    """A manifest says that an ingest of ours finished there; anything else may be somebody's only copy."""
    if f"{group}/{MANIFEST}" not in (key for key, _ in objects):
        raise InvalidArgumentError(
            f"zarr group '{group}' already exists in {store.describe()} with {len(objects)} object(s), "
            f"such as '{objects[0][0]}', which no finished ingest left; choose another zarr_group"
        )


def _remove_unclaimed(check_free: Callable[[], object], claim: GroupClaim) -> None:
    """Clear a group that was claimed just now over what lay there; gives the claim back if it is whole."""
    try:
        check_free()
    except BaseException:
        claim.release()
        raise
    try:
        claim.remove_objects()
    except BaseException:
        claim.abandon()  # its marker stays, so that the rest is known to be leftovers
        raise


def _described(group: str) -> str:
    return f"zarr group '{group}'"
