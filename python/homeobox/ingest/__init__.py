"""Ingest: read a source, check and align it with the atlas, write it so that it appears wholly or not at all."""

from homeobox.ingest.anndata import add_anndata_batch, add_from_anndata
from homeobox.ingest.cell_records import insert_cell_records
from homeobox.ingest.coo import add_coo_batch
from homeobox.ingest.csc import add_csc
from homeobox.ingest.deduplicate import deduplicate_var
from homeobox.ingest.feature_layout import write_feature_layout
from homeobox.ingest.fragments import add_fragments
from homeobox.ingest.image_tiles import add_image_tiles
from homeobox.ingest.layer import add_layer
from homeobox.ingest.mudata import add_from_mudata
from homeobox.ingest.obs_alignment import align_obs_to_schema, validate_obs_columns
from homeobox.ingest.streaming import SparseZarrWriter

__all__ = [
    "SparseZarrWriter",
    "add_anndata_batch",
    "add_coo_batch",
    "add_csc",
    "add_fragments",
    "add_from_anndata",
    "add_from_mudata",
    "add_image_tiles",
    "add_layer",
    "align_obs_to_schema",
    "deduplicate_var",
    "insert_cell_records",
    "validate_obs_columns",
    "write_feature_layout",
]
