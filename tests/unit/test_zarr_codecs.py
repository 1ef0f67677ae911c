"""Our codecs inside zarr-python."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.registry import get_codec_class

from homeobox import _core
from homeobox.codecs import BitpackingCodec, BP128Codec
from homeobox.errors import CorruptDataError, InvalidArgumentError, UnsupportedError


def test_defaults_are_those_of_0_2_2() -> None:
    assert BitpackingCodec().to_dict() == {
        "name": "homeobox.bitpacking",
        "configuration": {"transform": "none", "element_size": 4},
    }
    assert BP128Codec().to_dict() == {"name": "homeobox.bp128", "configuration": {"version": 1}}


@pytest.mark.parametrize("codec", [BitpackingCodec(transform="delta_zigzag", element_size=8), BP128Codec(version=1)])
def test_dicts_come_back_and_names_are_registered(codec: BitpackingCodec | BP128Codec) -> None:
    assert type(codec).from_dict(codec.to_dict()) == codec
    assert get_codec_class(codec.to_dict()["name"]) is type(codec)
    with pytest.raises(ValueError, match="codec homeobox"):
        type(codec).from_dict({"name": "zstd", "configuration": {}})


@pytest.mark.parametrize("arguments", [{"transform": "xor"}, {"element_size": 2}, {"element_size": 4.5}])
def test_bitpacking_refuses(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        BitpackingCodec(**arguments)  # type: ignore[arg-type]


def test_bp128_refuses_other_versions() -> None:
    with pytest.raises(ValueError, match="version 1 expected"):
        BP128Codec(2)


def test_entry_points_name_the_classes() -> None:
    entry_points = importlib.metadata.entry_points(group="zarr.codecs")
    ours = {entry.name: entry.load() for entry in entry_points if entry.value.startswith("homeobox.codecs:")}
    if not ours:
        pytest.skip("homeobox is importable but not installed, so it has no entry points")
    assert ours == {"homeobox.bitpacking": BitpackingCodec, "homeobox.bp128": BP128Codec}


def test_importing_homeobox_does_not_import_zarr() -> None:
    code = "import sys, homeobox, homeobox._core; sys.exit('zarr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_words_of_other_sizes_are_refused(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a", shape=(3,), chunks=(3,), dtype="uint8", compressors=BitpackingCodec())
    with pytest.raises(ValueError, match="multiple of 4 bytes"):
        array[...] = 1


@pytest.mark.parametrize("codec", [BitpackingCodec(), BP128Codec()])
def test_damage_is_an_error_in_zarr_python_too(tmp_path: Path, codec: BitpackingCodec | BP128Codec) -> None:
    options = (
        {"compressors": codec} if isinstance(codec, BitpackingCodec) else {"serializer": codec, "compressors": None}
    )
    array = zarr.create_array(tmp_path / "a", shape=(1000,), chunks=(1000,), dtype="uint32", **options)
    array[...] = np.arange(1000)
    chunk = tmp_path / "a/c/0"
    whole = chunk.read_bytes()
    for damaged in (whole[:3], whole[:-200], b"\x01\xff\xff\xff\xff" + whole[5:]):
        chunk.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"homeobox.bitpacking|bitpacking|bp128"):
            array[...]


def test_encode_chunk_and_decode_chunk() -> None:
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    encoded = _core.encode_chunk('["bytes", "crc32c"]', "float32", [3, 4], data)
    assert encoded[:-4] == data.tobytes()
    assert int.from_bytes(encoded[-4:], "little") == _core.crc32c(data)
    decoded = _core.decode_chunk('["bytes", "crc32c"]', "float32", [3, 4], encoded)
    assert decoded.dtype == data.dtype
    assert (decoded == data).all()
    with pytest.raises(CorruptDataError, match="48 bytes expected, 52 found"):
        _core.decode_chunk('["bytes"]', "float32", [3, 4], encoded)
    with pytest.raises(InvalidArgumentError, match="48 bytes expected, 44 given"):
        _core.encode_chunk('["bytes"]', "float32", [3, 4], data.reshape(-1)[:11].copy())
    with pytest.raises(InvalidArgumentError, match="complex64"):
        _core.encode_chunk('["bytes"]', "complex64", [1], b"12345678")
    with pytest.raises(UnsupportedError, match='codec "lz4"'):
        _core.encode_chunk('["bytes", "lz4"]', "float32", [3, 4], data)


def test_crc32c_of_the_standard_vector() -> None:
    assert _core.crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ({"name": "zstd", "configuration": {"level": "3"}}, "an integer from .* expected as level"),
        ({"name": "gzip", "configuration": {"level": 10}}, "an integer from 0 to 9 expected as level, found 10"),
        ({"name": "blosc", "configuration": {"shuffle": "maybe"}}, "expected as shuffle"),
        ({"name": "crc32c", "configuration": {"seed": 1}}, "unknown member seed"),
        ({"name": "zstd", "extra": 1}, "unknown member extra"),
        ({"configuration": {}}, "an object with a name expected"),
        ({"name": "numcodecs.shuffle", "configuration": {"elementsize": -1}}, "elementsize"),
    ],
)
def test_configurations_that_are_refused(codec: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        _core.encode_chunk(json.dumps(["bytes", codec]), "uint8", [1], b"1")


def test_the_instruction_set_can_be_asked_and_lowered() -> None:
    assert _core.cpu_features() in {"avx512", "avx2", "neon", "plain"}
    code = "from homeobox import _core; print(_core.cpu_features())"
    lowered = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOX_SIMD": "plain"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert lowered.stdout.strip() == "plain"
