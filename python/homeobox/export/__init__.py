"""Out again: a state of an atlas as another atlas, or one dataset of it as AnnData."""

from homeobox.export.atlas import export_atlas

__all__ = ["export_atlas"]
