"""SQL text for Lance filters. Every value that comes from outside goes through here."""

from collections.abc import Iterable


def quote(value: str | int) -> str:
    """A literal: integers as they are, strings in single quotes with quotes inside doubled."""
    if isinstance(value, int):
        return str(int(value))
    return "'" + value.replace("'", "''") + "'"


def quote_column(name: str) -> str:
    """A column name in backticks, so that names with spaces, dots or capitals mean themselves."""
    return "`" + name.replace("`", "``") + "`"


def equals(column: str, value: str | int) -> str:
    """``column = value``"""
    return f"{quote_column(column)} = {quote(value)}"


def is_in(column: str, values: Iterable[str | int]) -> str:
    """``column IN (values)``; an empty list matches nothing."""
    literals = ", ".join(quote(v) for v in values)
    return f"{quote_column(column)} IN ({literals})" if literals else "false"
