"""The vectors of FORMAT.md, parsed from the document, so that the document cannot rot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FORMAT = Path(__file__).resolve().parents[2] / "FORMAT.md"


@dataclass(frozen=True)
class Vector:
    """One encoded chunk of the document."""

    name: str
    codec: str
    values: np.ndarray
    chunk: bytes
    decode_only: bool


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)^```$", FORMAT.read_text(), flags=re.MULTILINE | re.DOTALL)


def vectors(codec: str) -> list[Vector]:
    found = [parse_vector(block) for block in blocks("vector")]
    return [vector for vector in found if vector.codec == codec]


def parse_vector(block: str) -> Vector:
    """Lines of a keyword and its text; a line that begins with white space goes on with the one before."""
    fields: dict[str, str] = {}
    keyword = ""
    for line in block.splitlines():
        text = line.partition("#")[0].rstrip()
        if text and not text.startswith(" "):
            keyword, _, text = text.partition(" ")
            fields[keyword] = ""
        if keyword:
            fields[keyword] += f" {text}"
    return Vector(
        name=fields["name"].strip(),
        codec=fields["codec"].strip(),
        values=parse_values(fields["values"], np.dtype(fields["dtype"].strip())),
        chunk=parse_bytes(fields["chunk"]),
        decode_only="decode" in fields,
    )


def parse_bytes(text: str) -> bytes:
    return b"".join(bytes.fromhex(item) * count for item, count in _items(text))


def parse_values(text: str, dtype: np.dtype) -> np.ndarray:
    values: list[np.ndarray] = []
    for item, count in _items(text):
        values += [_parse_item(item, dtype)] * count
    return np.concatenate([np.empty(0, dtype), *values])


def _items(text: str) -> list[tuple[str, int]]:
    """(item, how often), lists in brackets written out."""
    found: list[tuple[str, int]] = []
    for group, group_count, item, count in re.findall(r"\(([^)]*)\)\*(\d+)|([^\s*]+)(?:\*(\d+))?", text):
        found += _items(group) * int(group_count) if group_count else [(item, int(count or 1))]
    return found


def _parse_item(item: str, dtype: np.dtype) -> np.ndarray:
    if item.startswith("bits:"):
        return np.frombuffer(bytes.fromhex(item[5:])[::-1], dtype)
    ends = re.fullmatch(r"(-?\d+)\.\.(-?\d+)(?:/(\d+))?", item)
    if ends:
        first, last, step = int(ends[1]), int(ends[2]), int(ends[3] or 1)
        return np.array(range(first, last + 1, step) if first <= last else range(first, last - 1, -step), dtype)
    return np.array([float(item) if dtype.kind == "f" else int(item)], dtype)
