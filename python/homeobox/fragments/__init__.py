"""Fragments of chromatin accessibility: read and write files and arrays, find regions, count in ranges.

An atlas takes them by `homeobox.add_fragments` and gives them by ``query().to_fragments()``; what is here works on
files, frames and groups of one's own as well.
"""

from homeobox.fragments.counter import FragmentCounter, GenomicRange
from homeobox.fragments.genome_reader import GenomeSortedReader, RegionResult, seek_region
from homeobox.fragments.write_groups import write_fragment_arrays, write_genome_sorted_arrays
from homeobox.ingest.fragments import (
    add_fragments,
    build_chrom_order,
    build_end_max,
    parse_bed_fragments,
    sort_fragments_by_cell,
    sort_fragments_by_genome,
)
from homeobox.query.fragments import FragmentResult, IntervalReconstructor

__all__ = [
    "FragmentCounter",
    "FragmentResult",
    "GenomeSortedReader",
    "GenomicRange",
    "IntervalReconstructor",
    "RegionResult",
    "add_fragments",
    "build_chrom_order",
    "build_end_max",
    "parse_bed_fragments",
    "seek_region",
    "sort_fragments_by_cell",
    "sort_fragments_by_genome",
    "write_fragment_arrays",
    "write_genome_sorted_arrays",
]
