"""Feature spaces: what a group of each modality must hold, by name.

A *feature space* is a modality's vocabulary ("gene_expression"). Its spec says which kind of pointer leads to its
cells, which arrays and layers a group has, and whether the columns are features of a registry. The five built-in
spaces are registered here; users add theirs with :func:`register_spec`.

Specs are plain data: checking a group needs only its metadata, through the small :class:`GroupMetadata` interface.
"""

from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from homeobox.errors import InvalidArgumentError, NotFoundError, UnsupportedError


class DTypeKind(StrEnum):
    """Kind letter of a NumPy dtype."""

    BOOL = "b"
    SIGNED_INTEGER = "i"
    UNSIGNED_INTEGER = "u"
    FLOAT = "f"


class PointerKind(StrEnum):
    """How a cell finds its data: a range of elements (sparse) or a row on axis 0 (dense)."""

    SPARSE = "sparse"
    DENSE = "dense"


class UnknownFeatureSpaceError(NotFoundError, KeyError):
    """A feature space that nobody registered."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class GroupMetadata(Protocol):
    """What a spec wants to know about a stored group; paths are relative to it."""

    def array(self, path: str) -> tuple[tuple[int, ...], str] | None:
        """(shape, dtype kind letter) of an array, or None where there is no array."""

    def is_group(self, path: str) -> bool:
        """Whether a group lies at `path`."""

    def array_names(self, path: str) -> list[str]:
        """Sorted names of the arrays directly inside a group."""


class _ZarrGroupMetadata:
    """:class:`GroupMetadata` of a ``zarr.Group`` that the user opened."""

    def __init__(self, group: Any) -> None:
        self._group = group

    def array(self, path: str) -> tuple[tuple[int, ...], str] | None:
        node = self._group.get(path)
        return (tuple(node.shape), node.dtype.kind) if node is not None and hasattr(node, "shape") else None

    def is_group(self, path: str) -> bool:
        node = self._group.get(path)
        return node is not None and not hasattr(node, "shape")

    def array_names(self, path: str) -> list[str]:
        return sorted(self._group[path].array_keys())


class ArraySpec(BaseModel):
    """One required array: its path in the group and, where given, the kind of its dtype and its number of axes."""

    array_name: str
    dtype_kind: DTypeKind | None = None
    ndim: int | None = None


class LayersSpec(BaseModel):
    """The layers of a group: where they lie, which must and which may exist."""

    prefix: str = ""
    uniform_shape: bool = False
    match_shape_of: str | None = None
    required: list[str] = Field(default_factory=list)
    allowed: list[str] = Field(default_factory=list)

    @property
    def path(self) -> str:
        """Path of the layers group inside the dataset's group."""
        return f"{self.prefix}/layers" if self.prefix else "layers"


class ZarrGroupSpec(BaseModel):
    """What every group of one feature space must look like.

    ``reconstructor`` is a name that 0.2.2 has; it must be None, since queries read groups by the rest of the spec.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    feature_space: str
    pointer_kind: PointerKind
    reconstructor: Any = None
    has_var_df: bool = False
    required_arrays: list[ArraySpec] = Field(default_factory=list)
    layers: LayersSpec = Field(default_factory=LayersSpec)

    @property
    def is_matrix(self) -> bool:
        """Whether a cell's data is one row of a cells x features matrix (fragments and images are not)."""
        return self.has_var_df and len(self.required_arrays) == (1 if self.pointer_kind is PointerKind.SPARSE else 0)

    def find_layers_path(self) -> str:
        """Path of the layers group inside the dataset's group."""
        return self.layers.path

    def validate_group(self, group: Any) -> list[str]:
        """Check a stored group against this spec, by its metadata only.

        Parameters
        ----------
        group : GroupMetadata or zarr.Group
            The group.

        Returns
        -------
        list of str
            One message per fault; empty when the group is as it must be.
        """
        metadata: GroupMetadata = group if hasattr(group, "array_names") else _ZarrGroupMetadata(group)
        faults: list[str] = []
        for required in self.required_arrays:
            faults += self._check_array(metadata, required)
        faults += self._check_layers(metadata)
        return faults

    def _check_array(self, metadata: GroupMetadata, required: ArraySpec) -> list[str]:
        name = required.array_name
        found = metadata.array(name)
        if found is None:
            if metadata.is_group(name):
                return [f"'{name}' must be an array, found a group"]
            return [f"missing required array '{name}'"]
        shape, kind = found
        faults = []
        if required.ndim is not None and len(shape) != required.ndim:
            faults.append(f"array '{name}': expected ndim {required.ndim}, found {len(shape)}")
        if required.dtype_kind is not None and kind != required.dtype_kind.value:
            faults.append(f"array '{name}': expected dtype kind '{required.dtype_kind.value}', found '{kind}'")
        return faults

    def _check_layers(self, metadata: GroupMetadata) -> list[str]:
        layers = self.layers
        if not metadata.is_group(layers.path):
            return [f"missing layers group '{layers.path}'"] if layers.required else []
        names = metadata.array_names(layers.path)
        faults = [f"missing required layer '{layers.path}/{n}'" for n in layers.required if n not in names]
        if layers.allowed:
            faults += [
                f"unknown layer '{layers.path}/{n}', allowed are {layers.allowed}"
                for n in names
                if n not in layers.allowed
            ]
        shapes = {name: found[0] for name in names if (found := metadata.array(f"{layers.path}/{name}")) is not None}
        if layers.uniform_shape and len(set(shapes.values())) > 1:
            faults.append(f"layers in '{layers.path}' have different shapes: {shapes}")
        expected = metadata.array(layers.match_shape_of) if layers.match_shape_of else None
        if expected is not None:
            faults += [
                f"layer '{layers.path}/{name}': shape {shape} differs from {expected[0]} of '{layers.match_shape_of}'"
                for name, shape in shapes.items()
                if shape != expected[0]
            ]
        return faults


_SPECS: dict[str, ZarrGroupSpec] = {}


def register_spec(spec: ZarrGroupSpec) -> None:
    """Make a feature space known to this process.

    Raises
    ------
    InvalidArgumentError
        A spec of that name exists.
    UnsupportedError
        It has a reconstructor, which no query would call.
    """
    if spec.reconstructor is not None:
        raise UnsupportedError(
            f"feature space '{spec.feature_space}' has a reconstructor, but queries read groups by their pointer kind, "
            "arrays and layers alone; leave reconstructor out"
        )
    if spec.feature_space in _SPECS:
        raise InvalidArgumentError(f"feature space '{spec.feature_space}' is already registered")
    _SPECS[spec.feature_space] = spec


def get_spec(feature_space: str) -> ZarrGroupSpec:
    """The spec of a feature space.

    Raises
    ------
    UnknownFeatureSpaceError
        Nobody registered it; also a KeyError. Lists the names that are known.
    """
    spec = _SPECS.get(feature_space)
    if spec is None:
        raise UnknownFeatureSpaceError(
            f"unknown feature space '{feature_space}'; registered are {sorted(_SPECS)}. "
            "homeobox.register_spec adds your own"
        )
    return spec


def registered_feature_spaces() -> set[str]:
    """Names of all feature spaces known to this process."""
    return set(_SPECS)


GENE_EXPRESSION_SPEC = ZarrGroupSpec(
    feature_space="gene_expression",
    pointer_kind=PointerKind.SPARSE,
    has_var_df=True,
    required_arrays=[ArraySpec(array_name="csr/indices", dtype_kind=DTypeKind.UNSIGNED_INTEGER, ndim=1)],
    layers=LayersSpec(
        prefix="csr",
        uniform_shape=True,
        match_shape_of="csr/indices",
        required=["counts"],
        allowed=["counts", "log_normalized", "tpm"],
    ),
)

IMAGE_FEATURES_SPEC = ZarrGroupSpec(
    feature_space="image_features",
    pointer_kind=PointerKind.DENSE,
    has_var_df=True,
    layers=LayersSpec(
        uniform_shape=True,
        required=["ctrl_standardized"],
        allowed=["raw", "log_normalized", "ctrl_standardized"],
    ),
)

PROTEIN_ABUNDANCE_SPEC = ZarrGroupSpec(
    feature_space="protein_abundance",
    pointer_kind=PointerKind.DENSE,
    has_var_df=True,
    layers=LayersSpec(
        uniform_shape=True,
        required=["counts"],
        allowed=["counts", "clr_normalized", "dsb_normalized"],
    ),
)

CHROMATIN_ACCESSIBILITY_SPEC = ZarrGroupSpec(
    feature_space="chromatin_accessibility",
    pointer_kind=PointerKind.SPARSE,
    has_var_df=True,
    required_arrays=[
        ArraySpec(array_name=f"cell_sorted/{name}", dtype_kind=DTypeKind.UNSIGNED_INTEGER, ndim=1)
        for name in ("chromosomes", "starts", "lengths")
    ],
)

IMAGE_TILES_SPEC = ZarrGroupSpec(
    feature_space="image_tiles",
    pointer_kind=PointerKind.DENSE,
    required_arrays=[ArraySpec(array_name="data", dtype_kind=DTypeKind.UNSIGNED_INTEGER, ndim=4)],
)

for _spec in (
    GENE_EXPRESSION_SPEC,
    IMAGE_FEATURES_SPEC,
    PROTEIN_ABUNDANCE_SPEC,
    CHROMATIN_ACCESSIBILITY_SPEC,
    IMAGE_TILES_SPEC,
):
    register_spec(_spec)
