"""Prove that no include and no import points up the layers, and that there is no cycle.

    python tools/check_layers.py [ROOT]

Reads ``#include "homeobox/..."`` lines of the C++ sources and ``import`` statements of the Python package, those
inside functions included. Prints each broken rule with its file and line, and exits 1 if there is one.

The rules are the tables below: what each layer may import besides itself.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# base <- io, codec <- zarr <- ragged <- loader <- bindings; io and codec do not know each other.
CPP_LAYERS = {
    "base": set(),
    "io": {"base"},
    "codec": {"base"},
    "zarr": {"base", "io", "codec"},
    "ragged": {"base", "io", "codec", "zarr"},
    "loader": {"base", "io", "codec", "zarr", "ragged"},
    "bindings": {"base", "io", "codec", "zarr", "ragged", "loader", "testing"},
    # Stores for tests wrap any store; nothing but tests and bindings may reach them.
    "testing": {"base", "io"},
}

# schema <- catalog <- query, ingest <- loader, export, upkeep <- atlas, atlas_query <- torch, dask, cli.
_FOUNDATION = {"errors", "_core"}
_CATALOG = _FOUNDATION | {"schema", "catalog"}
_FACADE = _CATALOG | {"query", "ingest", "loader", "export", "upkeep", "atlas", "atlas_query"}
PYTHON_LAYERS = {
    "errors": set(),
    "_core": set(),
    "_obstore_bridge": _FOUNDATION,
    "datasets": set(),
    "codecs": _FOUNDATION,
    "shard_reader": _FOUNDATION,
    "schema": _FOUNDATION,
    "catalog": _FOUNDATION | {"schema"},
    "query": _CATALOG,
    "ingest": _CATALOG,
    "loader": _CATALOG | {"query"},
    "export": _CATALOG | {"query", "ingest"},
    "upkeep": _CATALOG | {"ingest"},
    "atlas": _FACADE,
    "atlas_query": _FACADE,
    "fragments": _CATALOG | {"query", "ingest"},
    "torch": _FACADE,
    "dask": _FACADE,
    "cli": _FACADE | {"datasets"},
    # The package itself hands out the public names of the layers that `import homeobox` may load.
    "homeobox": _FACADE | {"codecs", "datasets", "fragments", "shard_reader"},
}

# Third-party modules that only one layer may import, however late.
OUTSIDE = {
    "lancedb": {"catalog"},
    "lance": {"catalog"},
    "torch": {"torch"},
    "dask": {"dask"},
    "typer": {"cli"},
}

_INCLUDE = re.compile(r'^\s*#\s*include\s*["<](homeobox|bindings)/([^">]+)[">]')


@dataclass(frozen=True)
class Edge:
    """One include or import: ``source`` (a module of ``layer``) reads ``target`` (of ``target_layer``)."""

    path: Path
    line: int
    source: str
    layer: str
    target: str
    target_layer: str


def cpp_edges(root: Path) -> Iterator[Edge]:
    """Every project include below ``root/cpp``, tests, benchmarks and fuzzers left out: they may read anything."""
    for top in ("homeobox", "bindings"):
        for path in sorted((root / "cpp" / top).rglob("*")):
            if path.suffix not in {".h", ".cc"} or re.search(r"_(test|conformance)\.(cc|h)$", path.name):
                continue
            name = path.relative_to(root / "cpp").as_posix()
            for number, text in enumerate(path.read_text().splitlines(), start=1):
                if match := _INCLUDE.match(text):
                    target = f"{match[1]}/{match[2]}"
                    yield Edge(path, number, name, _cpp_layer(name), target, _cpp_layer(target))


def _cpp_layer(name: str) -> str:
    parts = name.split("/")
    if parts[0] == "bindings":
        return "bindings"
    return "testing" if parts[1:3] == ["io", "testing"] else parts[1]


def python_edges(root: Path) -> Iterator[Edge]:
    """Every import of the package ``root/python/homeobox``; those under ``if TYPE_CHECKING:`` do not run."""
    package = root / "python" / "homeobox"
    modules = {_module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    for module, path in modules.items():
        tree = ast.parse(path.read_text(), filename=str(path))
        for node, checked_only in _imports(tree):
            for target in _targets(node, module, path.name == "__init__.py", modules):
                if checked_only and target.split(".")[0] != "homeobox":
                    continue
                # A name for the type checker may not point up either, but it makes no cycle at run time.
                source = f"{module} (types)" if checked_only else module
                yield Edge(path, node.lineno, source, _python_layer(module), target, _python_layer(target))


def _module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    guarded: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            guarded.update(inner for statement in node.body for inner in ast.walk(statement))
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, node in guarded


def _targets(
    node: ast.Import | ast.ImportFrom, module: str, is_package: bool, modules: dict[str, Path]
) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parts = module.split(".")
        parts = parts[: len(parts) - node.level + is_package]
        base = ".".join([*parts, base] if base else parts)
    for alias in node.names:
        # `from homeobox.schema import base` reads a module, `... import HoxBaseSchema` a name inside one.
        full = f"{base}.{alias.name}"
        yield full if full in modules or full == "homeobox._core" else base


def _python_layer(module: str) -> str:
    parts = module.split(".")
    if parts[0] != "homeobox":
        return ""
    return parts[1] if len(parts) > 1 else "homeobox"


def broken_rules(edges: list[Edge], layers: dict[str, set[str]], outside: dict[str, set[str]]) -> Iterator[str]:
    for path, layer in sorted({(edge.path, edge.layer) for edge in edges if edge.layer not in layers}):
        yield f"{path}: {layer} is not a known layer; expected one of {', '.join(sorted(layers))}"
    for edge in edges:
        where = f"{edge.path}:{edge.line}"
        if edge.layer not in layers:
            continue
        if not edge.target_layer:
            allowed = outside.get(edge.target.split(".")[0])
            if allowed is not None and edge.layer not in allowed:
                yield f"{where}: {edge.layer} imports {edge.target}; only {', '.join(sorted(allowed))} may"
        elif edge.target_layer not in layers[edge.layer] | {edge.layer}:
            yield f"{where}: {edge.layer} reads {edge.target}, but {edge.target_layer} is not below {edge.layer}"


def cycle(edges: list[Edge]) -> list[str] | None:
    """Some cycle of units as a list that starts and ends with the same one, or None."""
    graph: dict[str, set[str]] = {}
    for edge in edges:
        if edge.source != edge.target:
            graph.setdefault(edge.source, set()).add(edge.target)
    done: set[str] = set()
    for start in sorted(graph):
        if start in done:
            continue
        path = [start]
        stack = [(start, iter(sorted(graph[start])))]
        while stack:
            unit, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                done.add(unit)
                stack.pop()
                path.pop()
            elif target in path:
                return [*path[path.index(target) :], target]
            elif target in graph and target not in done:
                path.append(target)
                stack.append((target, iter(sorted(graph[target]))))
    return None


def problems(root: Path) -> list[str]:
    """Everything that is wrong below ``root``, in words."""
    found: list[str] = []
    for edges, layers, outside in (
        (list(cpp_edges(root)), CPP_LAYERS, {}),
        (list(python_edges(root)), PYTHON_LAYERS, OUTSIDE),
    ):
        found += broken_rules(edges, layers, outside)
        if loop := cycle(edges):
            found.append("cycle: " + " -> ".join(loop))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, nargs="?", default=Path(__file__).resolve().parents[1])
    found = problems(parser.parse_args().root)
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
