"""The encoder of homeobox.bitpacking writes the bytes that homeobox 0.2.2 writes.

The chunks lie beside the repository in development: inputs, and what the original made of them with each transform.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden.second_implementation import decode_bitpacking

from homeobox import _core

CHUNKS = Path(__file__).resolve().parents[2].parent / "shared/golden022/g5_codecs.expected/encoded_chunks.npz"
TRANSFORMS = ("none", "delta", "delta_zigzag")

pytestmark = pytest.mark.skipif(not CHUNKS.exists(), reason="the golden chunks of 0.2.2 are not beside the repository")


def encode(words: np.ndarray, transform: str, **options: bool) -> bytes:
    configuration = {"transform": transform, "element_size": 4, **options}
    codecs = json.dumps(["bytes", {"name": "homeobox.bitpacking", "configuration": configuration}])
    return _core.encode_chunk(codecs, "uint32", [len(words)], words)


def inputs() -> dict[str, np.ndarray]:
    with np.load(CHUNKS) as chunks:
        return {name.removesuffix("_input"): chunks[name] for name in chunks.files if name.endswith("_input")}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_chunks_are_those_of_the_original(transform: str) -> None:
    found = inputs()
    assert len(found) == 10
    with np.load(CHUNKS) as chunks:
        for name, values in found.items():
            words = values.view(np.uint32)
            expected = chunks[f"{name}_{transform}"].tobytes()
            assert encode(words, transform) == expected, name
            assert decode_bitpacking(expected, 4, len(words)).tobytes() == words.tobytes(), name


def test_the_adaptive_writer_takes_the_smallest_of_the_original() -> None:
    with np.load(CHUNKS) as chunks:
        for name, values in inputs().items():
            every = [chunks[f"{name}_{transform}"].tobytes() for transform in TRANSFORMS]
            assert encode(values.view(np.uint32), "none", adaptive=True) == min(every, key=len), name
