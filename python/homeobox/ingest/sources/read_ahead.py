"""Reads the next block while the last one is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Block = TypeVar("Block")


def read_ahead(read: Callable[[Task, int], Block], tasks: Iterable[Task]) -> Iterator[Block]:
    """``read(task, slot)`` of every task, in order and by one thread, one task ahead.

    `slot` is 0 and 1 in turn: what was read into the memory of a slot is given back when the caller asks for the next
    block. Leaving the iteration waits for the block that is being read.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="homeobox-read") as reader:
        ahead: Future[Block] | None = None
        for number, task in enumerate(tasks):
            following = reader.submit(read, task, number % 2)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()
