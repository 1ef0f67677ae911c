"""Out again: a state of an atlas as another atlas, or one dataset of it as AnnData."""

from homeobox.export.atlas import export_atlas
from homeobox.export.h5ad import export_dataset

__all__ = ["export_atlas", "export_dataset"]
