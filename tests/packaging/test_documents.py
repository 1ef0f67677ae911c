"""The documents' code is the code that runs, and their links lead somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def python_blocks(document: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_readme_shows_the_quickstart_that_is_tested() -> None:
    script = (ROOT / "examples" / "quickstart.py").read_text()
    assert python_blocks(ROOT / "README.md")[0] == script[script.index("import os") :]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_parse(document: Path) -> None:
    for block in python_blocks(document):
        ast.parse(block)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z -]+)?:(?!=)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    targets |= {"asan", "tsan"}
    for document in DOCUMENTS:
        for target in re.findall(r"`(?:make|\./bootstrap) ([a-z-]+)`", document.read_text()):
            assert target in targets, f"{document.name} names `make {target}`"
