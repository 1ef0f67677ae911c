"""From fragments, as a file or a frame lists them, to the arrays of a group."""

from homeobox.ingest.fragments.add_fragments import add_fragments
from homeobox.ingest.fragments.arrays import write_by_cell, write_by_genome
from homeobox.ingest.fragments.bed_file import parse_bed_fragments
from homeobox.ingest.fragments.sorting import (
    END_MAX_BLOCK,
    build_chrom_order,
    build_end_max,
    sort_fragments_by_cell,
    sort_fragments_by_genome,
)

__all__ = [
    "END_MAX_BLOCK",
    "add_fragments",
    "build_chrom_order",
    "build_end_max",
    "parse_bed_fragments",
    "sort_fragments_by_cell",
    "sort_fragments_by_genome",
    "write_by_cell",
    "write_by_genome",
]
