"""Ingest: read a source, check and align it with the atlas, write it so that it appears wholly or not at all."""

from homeobox.ingest.anndata import add_anndata_batch, add_from_anndata

__all__ = ["add_anndata_batch", "add_from_anndata"]
