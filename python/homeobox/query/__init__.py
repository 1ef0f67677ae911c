"""Queries: plan from tables, read arrays, assemble results."""

from homeobox.query.request import QueryRequest
from homeobox.query.session import ReadSession

__all__ = ["QueryRequest", "ReadSession"]
