"""The codecs of this package for zarr-python, so that it opens every array that we write.

zarr-python finds the classes by the entry points ``zarr.codecs``; importing this module registers them as well, for
an environment where the package is importable but not installed. Encoding and decoding are the core's own.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, BytesBytesCodec
from zarr.registry import register_codec

from homeobox import _core

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

__all__ = ["BP128Codec", "BitpackingCodec"]

_BITPACKING = "homeobox.bitpacking"
_BP128 = "homeobox.bp128"
_TRANSFORMS = ("none", "delta", "delta_zigzag")
# One byte of transform and four of the number of elements.
_BITPACKING_HEADER_BYTES = 5


def _configuration(data: dict[str, Any], name: str) -> dict[str, Any]:
    if data.get("name") != name:
        raise ValueError(f"codec {name} expected, found {data.get('name')!r}")
    return dict(data.get("configuration") or {})


@dataclass(frozen=True)
class BitpackingCodec(BytesBytesCodec):
    """Packs integers into blocks of 128, each with as many bits as its largest value needs.

    Parameters
    ----------
    transform : {"none", "delta", "delta_zigzag"}
        What is packed: the values, their differences, or their differences with the sign in the lowest bit. "delta"
        suits values that mostly rise.
    element_size : {4, 8}
        Bytes of the integers that are packed. The array's own elements may be wider: int64 packs as pairs of 4 bytes.

    Notes
    -----
    Goes after ``bytes`` in little endian.
    """

    transform: str
    element_size: int
    is_fixed_size = False

    def __init__(self, *, transform: str = "none", element_size: int = 4) -> None:
        if transform not in _TRANSFORMS:
            raise ValueError(f"transform must be one of {', '.join(_TRANSFORMS)}, found {transform!r}")
        if element_size not in (4, 8):
            raise ValueError(f"element_size must be 4 or 8, found {element_size!r}")
        object.__setattr__(self, "transform", transform)
        object.__setattr__(self, "element_size", element_size)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec of an entry of ``zarr.json``."""
        return cls(**_configuration(data, _BITPACKING))

    def to_dict(self) -> dict[str, Any]:
        """The entry of ``zarr.json``."""
        return {
            "name": _BITPACKING,
            "configuration": {"transform": self.transform, "element_size": self.element_size},
        }

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: "ArraySpec") -> int:
        """Not known before encoding."""
        raise NotImplementedError("the size of packed integers depends on their values")

    def _chain(self) -> str:
        return json.dumps(["bytes", self.to_dict()])

    def _dtype(self) -> str:
        return f"uint{8 * self.element_size}"

    def _encode_sync(self, chunk_bytes: "Buffer", chunk_spec: "ArraySpec") -> "Buffer":
        data = np.ascontiguousarray(chunk_bytes.as_numpy_array())
        n_elements, rest = divmod(data.nbytes, self.element_size)
        if rest:
            raise ValueError(f"{_BITPACKING}: a multiple of {self.element_size} bytes expected, found {data.nbytes}")
        encoded = _core.encode_chunk(self._chain(), self._dtype(), [n_elements], data)
        return chunk_spec.prototype.buffer.from_bytes(encoded)

    def _decode_sync(self, chunk_bytes: "Buffer", chunk_spec: "ArraySpec") -> "Buffer":
        data = np.ascontiguousarray(chunk_bytes.as_numpy_array())
        if data.nbytes < _BITPACKING_HEADER_BYTES:
            raise ValueError(f"{_BITPACKING}: at least {_BITPACKING_HEADER_BYTES} bytes expected, found {data.nbytes}")
        n_elements = int.from_bytes(data[1:_BITPACKING_HEADER_BYTES].tobytes(), "little")
        # Every block takes at least the byte of its width, which bounds what a damaged header can claim.
        if n_elements > 128 * (data.nbytes - _BITPACKING_HEADER_BYTES):
            raise ValueError(f"{_BITPACKING}: {n_elements} elements cannot lie in {data.nbytes} bytes")
        decoded = _core.decode_chunk(self._chain(), self._dtype(), [n_elements], data)
        return chunk_spec.prototype.buffer.from_array_like(decoded.view("B"))

    async def _encode_single(self, chunk_data: "Buffer", chunk_spec: "ArraySpec") -> "Buffer":
        return await asyncio.to_thread(self._encode_sync, chunk_data, chunk_spec)

    async def _decode_single(self, chunk_data: "Buffer", chunk_spec: "ArraySpec") -> "Buffer":
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)


@dataclass(frozen=True)
class BP128Codec(ArrayBytesCodec):
    """Packs numbers into patched blocks of 128 with a directory and checksums.

    Parameters
    ----------
    version : int
        Version of the encoding.

    Notes
    -----
    Takes the place of ``bytes``. The form of every chunk follows its data; floats come back bit for bit.
    """

    version: int
    is_fixed_size = False

    def __init__(self, version: int = 1) -> None:
        if version != 1:
            raise ValueError(f"{_BP128}: version 1 expected, found {version!r}")
        object.__setattr__(self, "version", version)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec of an entry of ``zarr.json``."""
        return cls(**_configuration(data, _BP128))

    def to_dict(self) -> dict[str, Any]:
        """The entry of ``zarr.json``."""
        return {"name": _BP128, "configuration": {"version": self.version}}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: "ArraySpec") -> int:
        """Not known before encoding."""
        raise NotImplementedError("the size of packed numbers depends on their values")

    def _encode_sync(self, chunk_array: "NDBuffer", chunk_spec: "ArraySpec") -> "Buffer":
        dtype = chunk_spec.dtype.to_native_dtype().newbyteorder("=")
        data = np.ascontiguousarray(chunk_array.as_numpy_array(), dtype=dtype)
        encoded = _core.encode_chunk(json.dumps([self.to_dict()]), dtype.name, list(chunk_spec.shape), data)
        return chunk_spec.prototype.buffer.from_bytes(encoded)

    def _decode_sync(self, chunk_bytes: "Buffer", chunk_spec: "ArraySpec") -> "NDBuffer":
        dtype = chunk_spec.dtype.to_native_dtype().newbyteorder("=")
        data = np.ascontiguousarray(chunk_bytes.as_numpy_array())
        decoded = _core.decode_chunk(json.dumps([self.to_dict()]), dtype.name, list(chunk_spec.shape), data)
        # zarr's protocol asks for narrower overloads than NumPy's own types declare.
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(decoded)  # type: ignore[arg-type]

    async def _encode_single(self, chunk_data: "NDBuffer", chunk_spec: "ArraySpec") -> "Buffer":
        return await asyncio.to_thread(self._encode_sync, chunk_data, chunk_spec)

    async def _decode_single(self, chunk_data: "Buffer", chunk_spec: "ArraySpec") -> "NDBuffer":
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)


register_codec(_BITPACKING, BitpackingCodec)
register_codec(_BP128, BP128Codec)
