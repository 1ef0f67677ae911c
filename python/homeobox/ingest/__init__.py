"""Ingest: read a source, check and align it with the atlas, write it so that it appears wholly or not at all."""

from homeobox.ingest.anndata import add_anndata_batch, add_from_anndata
from homeobox.ingest.cell_records import insert_cell_records
from homeobox.ingest.csc import add_csc
from homeobox.ingest.fragments import add_fragments
from homeobox.ingest.layer import add_layer
from homeobox.ingest.mudata import add_from_mudata

__all__ = [
    "add_anndata_batch",
    "add_csc",
    "add_fragments",
    "add_from_anndata",
    "add_from_mudata",
    "add_layer",
    "insert_cell_records",
]
