from collections.abc import Sequence
from typing import Annotated

import numpy
import numpy.typing
from numpy.typing import NDArray

from homeobox.errors import (
    CancelledError as CancelledError,
    ConflictError as ConflictError,
    CorruptDataError as CorruptDataError,
    HomeoboxError as HoxError,
    InternalError as InternalError,
    InvalidArgumentError as InvalidArgumentError,
    NotFoundError as NotFoundError,
    OutOfRangeError as OutOfRangeError,
    StoreError as StoreError,
    UnsupportedError as UnsupportedError,
)

def runtime_info() -> dict: ...

class Store:
    def read(self, key: str) -> bytes | None: ...
    def read_ranges(self, key: str, begins: Sequence[int], ends: Sequence[int]) -> list[bytes] | None: ...
    def read_suffix(self, key: str, n_bytes: int) -> tuple[bytes, int] | None: ...
    def size(self, key: str) -> int | None: ...
    def write(self, key: str, data: object) -> None: ...
    def create(self, key: str, data: object) -> bool: ...
    def remove(self, key: str) -> None: ...
    def list(self, prefix: str = "") -> list[tuple[str, int]]: ...
    def describe(self) -> str: ...
    def __repr__(self) -> str: ...

class FileStore(Store):
    def __init__(self, root: object) -> None: ...
    @property
    def root(self) -> str: ...

class MemoryStore(Store):
    def __init__(self) -> None: ...

class RetryingStore(Store):
    def __init__(
        self, inner: Store, max_attempts: int = 5, first_wait_s: float = 0.1, max_wait_s: float = 10.0
    ) -> None: ...

class CountingStore(Store):
    def __init__(self, inner: Store) -> None: ...
    @property
    def requests(self) -> int: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def bytes_written(self) -> int: ...
    def reset(self) -> None: ...

class FailingStore(Store):
    def __init__(self, inner: Store, fail_on: int, n_failures: int = 1, retryable: bool = False) -> None: ...
    @property
    def requests(self) -> int: ...

class SlowStore(Store):
    def __init__(self, inner: Store, delay_s: float) -> None: ...

class ObstoreStore(Store):
    def __init__(self, store: object) -> None: ...

def encode_chunk(codecs_json: str, dtype: str, shape: Sequence[int], data: object) -> bytes: ...
def decode_chunk(codecs_json: str, dtype: str, shape: Sequence[int], encoded: object) -> numpy.typing.NDArray: ...
def crc32c(data: object) -> int: ...
def cpu_features() -> str: ...

class Array:
    @staticmethod
    def open(store: Store, path: str) -> Array: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def metadata(self) -> str: ...
    def read(self, begin: Sequence[int], end: Sequence[int]) -> numpy.typing.NDArray: ...
    def read_all(self) -> numpy.typing.NDArray: ...
    def read_ranges(
        self,
        begins: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        ends: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> numpy.typing.NDArray: ...

class Group:
    @staticmethod
    def open(store: Store, path: str) -> Group: ...
    @property
    def path(self) -> str: ...
    def open_array(self, name: str) -> Array: ...

class ArrayWriter:
    def __init__(
        self,
        store: Store,
        path: str,
        dtype: str,
        shape: Sequence[int],
        chunk_shape: Sequence[int],
        shard_shape: Sequence[int] | None,
        codecs_json: str,
        attributes_json: str = "{}",
        index_location: str = "end",
    ) -> None: ...
    def append(self, rows: Annotated[NDArray, dict(order="C", device="cpu", writable=False)]) -> None: ...
    def finish(self) -> list[tuple[str, int, int]]: ...
    @property
    def objects(self) -> list[tuple[str, int, int]]: ...

def write_array(
    store: Store,
    path: str,
    data: Annotated[NDArray, dict(order="C", device="cpu", writable=False)],
    chunk_shape: Sequence[int],
    shard_shape: Sequence[int] | None,
    codecs_json: str,
    attributes_json: str = "{}",
    index_location: str = "end",
) -> list[tuple[str, int, int]]: ...
def write_group(store: Store, path: str, attributes_json: str = "{}") -> tuple[str, int, int]: ...
def find_group(store: Store, path: str) -> bool: ...
def write_manifest(store: Store, group_path: str, objects: Sequence[tuple[str, int, int]]) -> tuple[str, int, int]: ...
def read_manifest(store: Store, group_path: str) -> list[tuple[str, int, int]] | None: ...

class SparseGroup:
    def __init__(
        self, store: Store, group: str, indices_path: str = "csr/indices", feature_order_path: str = "csr/feature_order"
    ) -> None: ...
    @property
    def path(self) -> str: ...
    @property
    def n_entries(self) -> int: ...
    @property
    def feature_order(self) -> object: ...
    def layer_dtype(self, layer: str) -> str: ...

def gather_csr(
    groups: Sequence[SparseGroup],
    remaps: Sequence[Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)]],
    layer: str,
    group_of_cell: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    begins: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ends: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    n_columns: int,
    dtype: str,
    sort: bool = True,
) -> tuple[numpy.typing.NDArray, numpy.typing.NDArray, numpy.typing.NDArray]: ...
def gather_dense(
    layers: Sequence[Array],
    remaps: Sequence[Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)]],
    group_of_cell: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
    positions: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    n_columns: int,
) -> numpy.typing.NDArray: ...
def feature_order(
    totals: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C", device="cpu", writable=False)],
) -> numpy.typing.NDArray: ...
def reorder_csr(
    indptr: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    indices: Annotated[NDArray, dict(shape=(None,), order="C", device="cpu", writable=False)],
    data: Sequence[Annotated[NDArray, dict(shape=(None,), order="C", device="cpu", writable=False)]],
    n_features: int,
    order: object | None = None,
) -> tuple[numpy.typing.NDArray, list[numpy.typing.NDArray]]: ...

class CsrSummary:
    def __init__(self, n_features: int) -> None: ...
    def add(
        self,
        indices: FileArray | Annotated[NDArray, dict(shape=(None,), order="C", device="cpu", writable=False)],
        values: FileArray | Annotated[NDArray, dict(shape=(None,), order="C", device="cpu", writable=False)],
        begin: int = 0,
        end: int | None = None,
    ) -> None: ...
    @property
    def totals(self) -> numpy.typing.NDArray: ...
    @property
    def n_entries(self) -> int: ...
    @property
    def has_negative(self) -> bool: ...
    @property
    def has_fraction(self) -> bool: ...
    @property
    def has_nonfinite(self) -> bool: ...

class CsrWriter:
    def __init__(
        self,
        store: Store,
        indices: tuple[str, str, int, int, int | None, str],
        layers: Sequence[tuple[str, str, int, int, int | None, str]],
        n_features: int,
        order: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order="C", device="cpu", writable=False)]
        | None = None,
    ) -> None: ...
    def append(
        self,
        indptr: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        indices: FileArray | Annotated[NDArray, dict(shape=(None,), order="C", device="cpu", writable=False)],
        data: Sequence[FileArray | Annotated[NDArray, dict(shape=(None,), order="C", device="cpu", writable=False)]],
    ) -> None: ...
    def finish(self) -> list[tuple[str, int, int]]: ...

class FileArray:
    def __len__(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    def read_into(self, begin: int, out: Annotated[NDArray, dict(shape=(None,), order="C", device="cpu")]) -> None: ...
    def prefetch(self, begin: int, end: int) -> None: ...
    def close(self) -> None: ...

class FileLayout:
    def __init__(
        self,
        name: str,
        dtype: str,
        n_elements: int,
        chunk_elements: int,
        offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    ) -> None: ...
    def open(self, descriptor: int) -> FileArray: ...

def transpose_csr(
    store: Store,
    group: str,
    row_bounds: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
    n_features: int,
    layers: Sequence[tuple[str, tuple[str, int, int | None, str]]],
    rows: tuple[str, int, int | None, str] | None,
    feature_bounds: tuple[str, int, int | None, str],
    known_bounds: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)]
    | None = None,
    indices_path: str = "csr/indices",
    feature_order_path: str = "csr/feature_order",
    memory_bytes: int = 268435456,
    scratch_directory: str = "",
    on_progress: object | None = None,
) -> list[tuple[str, int, int]]: ...

class BatchLoader:
    def __init__(
        self,
        groups: Sequence[SparseGroup],
        remaps: Sequence[Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)]],
        layer: str,
        group_of_cell: Annotated[NDArray[numpy.int32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        begins: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        lengths: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order="C", device="cpu", writable=False)],
        n_columns: int,
        dtype: str,
        batch_size: int = 512,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        memory_bytes: int = 1073741824,
    ) -> None: ...
    @property
    def n_batches(self) -> int: ...
    @property
    def n_cells(self) -> int: ...
    def restart(self, epoch: int) -> None: ...
    def next(
        self,
    ) -> tuple[numpy.typing.NDArray, numpy.typing.NDArray, numpy.typing.NDArray, numpy.typing.NDArray] | None: ...
