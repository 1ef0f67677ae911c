"""The layer check finds what it is for, and the tree passes it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("check_layers", ROOT / "tools" / "check_layers.py")
check_layers = importlib.util.module_from_spec(_SPEC)
sys.modules["check_layers"] = check_layers
_SPEC.loader.exec_module(check_layers)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_tree_has_no_upward_arrow_and_no_cycle() -> None:
    assert check_layers.problems(ROOT) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cpp/homeobox/base/a.h", '#include "homeobox/io/store.h"', "base reads homeobox/io/store"),
        ("cpp/homeobox/io/a.cc", '#include "homeobox/codec/codec.h"', "codec is not below io"),
        ("cpp/homeobox/zarr/a.h", '#include "homeobox/io/testing/slow_store.h"', "testing is not below zarr"),
        ("cpp/homeobox/helpers/a.h", '#include "homeobox/base/error.h"', "helpers is not a known layer"),
        ("python/homeobox/schema/a.py", "from homeobox.catalog import tables", "catalog is not below schema"),
        ("python/homeobox/schema/a.py", "from ..catalog import tables", "catalog is not below schema"),
        ("python/homeobox/query/a.py", "def f():\n    import lancedb.table", "query imports lancedb.table"),
        ("python/homeobox/loader/a.py", "import torch", "only torch may"),
        (
            "python/homeobox/catalog/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from homeobox.atlas import RaggedAtlas",
            "atlas is not below catalog",
        ),
    ],
)
def test_an_upward_arrow_is_named_with_its_file(tmp_path: Path, name: str, text: str, message: str) -> None:
    found = check_layers.problems(tree(tmp_path, {name: text}))
    assert len(found) == 1
    assert message in found[0]
    assert name in found[0]


@pytest.mark.parametrize(
    "files",
    [
        {
            "cpp/homeobox/io/a.h": '#include "homeobox/io/b.h"',
            "cpp/homeobox/io/b.h": '#include "homeobox/io/a.h"',
        },
        {
            "python/homeobox/query/a.py": "from homeobox.query.b import x",
            "python/homeobox/query/b.py": "def f():\n    from homeobox.query import c",
            "python/homeobox/query/c.py": "from . import a",
        },
        {
            "python/homeobox/query/__init__.py": "from homeobox.query.a import x",
            "python/homeobox/query/a.py": "from homeobox.query import y",
        },
    ],
)
def test_a_cycle_is_found(tmp_path: Path, files: dict[str, str]) -> None:
    (problem,) = check_layers.problems(tree(tmp_path, files))
    assert problem.startswith("cycle: ")


def test_type_checking_imports_make_no_cycle(tmp_path: Path) -> None:
    files = {
        "python/homeobox/query/a.py": "from homeobox.query.b import x",
        "python/homeobox/query/b.py": (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from homeobox.query.a import y"
        ),
    }
    assert check_layers.problems(tree(tmp_path, files)) == []


def test_a_package_may_name_its_parts_and_they_each_other(tmp_path: Path) -> None:
    files = {
        "python/homeobox/query/__init__.py": "from homeobox.query.a import x",
        "python/homeobox/query/a.py": "from homeobox.query.b import y",
        "python/homeobox/query/b.py": "import numpy",
    }
    assert check_layers.problems(tree(tmp_path, files)) == []
