"""What must hold of the group that an ingest is to write, whatever its arrays are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeobox.errors import InvalidArgumentError
from homeobox.ingest.group_name import check_group_name, check_not_nested
from homeobox.ingest.pending import groups_around, is_pending
from homeobox.schema import DatasetRecord, PointerField, ZarrGroupSpec, get_spec

if TYPE_CHECKING:
    from homeobox.catalog import Catalog


def check_target(catalog: Catalog, record: DatasetRecord, feature_space: str) -> tuple[ZarrGroupSpec, PointerField]:
    """The spec and the pointer field of a feature space that `record` can be added to; writes nothing.

    Raises
    ------
    InvalidArgumentError
        No pointer field for the space, a record of another space, or a name or uid that is taken or not allowed.
    UnknownFeatureSpaceError
        Nobody registered the space.
    """
    spec = get_spec(feature_space)
    field = catalog.pointer_fields.get(feature_space)
    if field is None:
        raise InvalidArgumentError(
            f"cell schema has no pointer field for feature space '{feature_space}', "
            f"it has {list(catalog.pointer_fields)}"
        )
    if not isinstance(record, DatasetRecord):
        raise InvalidArgumentError(f"dataset_record must be a DatasetRecord, found {type(record).__name__}")
    if record.feature_space != feature_space:
        raise InvalidArgumentError(
            f"dataset record says feature space '{record.feature_space}', but '{feature_space}' is to be ingested"
        )
    check_group_name(record.zarr_group)
    check_not_nested(record.zarr_group, groups_around(catalog, record.zarr_group))
    # A pending row of the name is replaced later; the check for a taken uid is made again then.
    if not is_pending(catalog, record.zarr_group):
        catalog.datasets.check_new(record)
    return spec, field
