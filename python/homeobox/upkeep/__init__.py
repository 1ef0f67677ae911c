"""Taking away: datasets, old snapshots and versions with the arrays that only they need, and what crashes left."""

from homeobox.upkeep.delete import delete_dataset
from homeobox.upkeep.leftovers import Leftover, clean, find_leftovers
from homeobox.upkeep.prune import prune
from homeobox.upkeep.prune_report import PruneReport
from homeobox.upkeep.recording import snapshot
from homeobox.upkeep.restore import restore

__all__ = ["Leftover", "PruneReport", "clean", "delete_dataset", "find_leftovers", "prune", "restore", "snapshot"]
