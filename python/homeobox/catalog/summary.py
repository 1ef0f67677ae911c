"""What an atlas holds, in words: for ``atlas.schemas`` and ``repr(atlas)``."""

from html import escape

from homeobox.catalog.catalog import Catalog


def schemas_text(catalog: Catalog) -> str:
    """Tables with row counts and columns, one column a line."""
    tables = [
        ("Cell table", catalog.cells.table),
        ("Dataset table", catalog.datasets.table),
        *((f"Registry [{space}]", registry.table) for space, registry in catalog.registries.items()),
    ]
    lines = ["Atlas tables:"]
    for title, table in tables:
        lines.append(f"  {title} ('{table.name}', {table.count()} rows)")
        lines += [f"    {field.name}: {field.type}" for field in table.schema]
    return "\n".join(lines)


def facts(catalog: Catalog) -> dict[str, str]:
    """A few lines about an atlas, title -> text."""
    if catalog.read_only:
        state = f"snapshot {catalog.version}, read-only"
    else:
        names = catalog.versions.names()
        versions = [
            f"{record.version} ({names[record.version]})" if record.version in names else str(record.version)
            for record in catalog.versions.records()
        ]
        state = f"writable; snapshots: {', '.join(versions) if versions else 'none'}"
    spaces = [
        f"{name} ({_features(catalog, name)}{field.kind.value})" for name, field in catalog.pointer_fields.items()
    ]
    return {
        "state": state,
        "cells": f"{catalog.count_cells():,}",
        "datasets": f"{catalog.committed_datasets().num_rows:,}",
        "feature spaces": ", ".join(spaces),
        "obs columns": ", ".join(name for name, _ in catalog.cells.describe()),
    }


def _features(catalog: Catalog, feature_space: str) -> str:
    registry = catalog.registries.get(feature_space)
    return f"{registry.n_features:,} features, " if registry is not None else ""


def text(catalog: Catalog) -> str:
    """For ``repr``."""
    lines = [f"RaggedAtlas at '{catalog.location}'"]
    lines += [f"  {title}: {value}" for title, value in facts(catalog).items()]
    return "\n".join(lines)


def html(catalog: Catalog) -> str:
    """For notebooks."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(title)}</th><td style='text-align:left'>{escape(value)}</td></tr>"
        for title, value in facts(catalog).items()
    )
    return f"<b>RaggedAtlas</b> at <code>{escape(str(catalog.location))}</code><table>{rows}</table>"
