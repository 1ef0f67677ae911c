"""Training batches: plan once from the tables, then stream from the C++ loader. NumPy only."""

from homeobox.loader.batch import SparseBatch
from homeobox.loader.csr_loader import CsrLoader, make_csr_loader

__all__ = ["CsrLoader", "SparseBatch", "make_csr_loader"]
