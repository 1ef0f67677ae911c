"""Ingest of many files by the processes of a Dask cluster, which may be those of this machine.

Each file is one dataset and one task; what fails, fails alone. Needs the extra ``homeobox[dask]``.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeobox.atlas import RaggedAtlas
from homeobox.errors import ConflictError, InvalidArgumentError
from homeobox.ingest import add_from_anndata
from homeobox.ingest.group_name import check_group_name, check_not_nested
from homeobox.ingest.sources import Reading, open_source
from homeobox.schema import DatasetRecord, HoxBaseSchema

try:
    import distributed
except ImportError as error:
    raise ImportError("homeobox.dask needs Dask's distributed: pip install 'homeobox[dask]'") from error

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ingest"]

#: What happened to a file.
ADDED, PRESENT, FAILED = "added", "present", "failed"

# An answer is looked for without a lock on this thread, so that Ctrl-C is heard at once.
_ASK_EVERY_S = 0.05
# The scheduler is asked seldom: it has better to do.
_ASK_WORKERS_EVERY_S = 1.0

#: Adds one file to the atlas under a group name and returns the number of cells.
AddFile = Callable[[RaggedAtlas, str, str], int]


def ingest(
    atlas_uri: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]],
    *,
    cell_table_name: str = "cells",
    cell_schema: type[HoxBaseSchema],
    dataset_table_name: str = "datasets",
    dataset_schema: type[DatasetRecord] = DatasetRecord,
    feature_space: str = "gene_expression",
    zarr_layer: str = "counts",
    add: AddFile | None = None,
    client: Any = None,
    tries: int = 10,
    worker_timeout_s: float = 300,
    progress: bool = True,
    store_kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> pl.DataFrame:
    """Add files to an atlas, each as a dataset, spread over the workers of a Dask cluster.

    Parameters
    ----------
    atlas_uri : str or path
        An atlas that exists and that every worker reaches under this address. Features must be registered.
    files : sequence of paths, or mapping of group name to path
        Without names, a group is called like its file without suffixes. Every worker must reach them.
    cell_table_name, cell_schema, dataset_table_name, store_kwargs
        As for :meth:`RaggedAtlas.open`.
    dataset_schema : type of DatasetRecord
        Class of the dataset rows; its further fields need defaults, or `add` makes the rows.
    feature_space, zarr_layer : str
        As for :func:`homeobox.add_from_anndata`, which takes each file.
    add : callable, optional
        ``add(atlas, path, group) -> n_cells`` is called instead, on a worker: for other kinds of files, other functions
        such as :func:`homeobox.add_fragments`, or to prepare `obs`.
    client : distributed.Client, optional
        Default: the current one, or else a cluster of this machine's processes, for the time of the call. A script
        that lets it start one needs ``if __name__ == "__main__":``, as every use of new processes does.
    tries : int
        Attempts for a file whose commit another writer got in the way of.
    worker_timeout_s : float
        How long the cluster may be without any worker; then the files that are not done have failed, and the call
        ends. ``math.inf`` waits for ever, as Dask does: for workers that stand in the queue of a batch system.
    progress : bool
        Show a bar on a terminal.
    **options
        Further arguments of :func:`homeobox.add_from_anndata`.

    Returns
    -------
    polars.DataFrame
        One row per file in the given order: `zarr_group`, `file`, `status`, `n_cells`, `seconds`, `tries`, `error`
        (class and message; null without one). The status is "added", "failed", or "present": the atlas has cells of
        this group already, from an earlier call or from a worker that died right after it had added them. Without
        `add`, the feature space and number of cells of that dataset are compared with the file; if they differ, the
        file failed.

    Raises
    ------
    InvalidArgumentError
        Two files have one name, or a name cannot be that of a group; nothing was begun.
    AtlasNotFoundError
        There is no atlas.

    Notes
    -----
    Stage: experimental. A file that fails leaves nothing and stops no other; one of which workers die is tried once
    more alone, since Dask also gives up the tasks beside it. A worker that only the scheduler has lost may still finish
    its file. The same call again adds what is missing. Feature spaces of your own must be registered on the workers
    too: put ``register_spec`` into the module of `cell_schema`.
    """
    named = _named(files)
    job = _Job(
        os.fspath(atlas_uri),
        cell_table_name,
        cell_schema,
        dataset_table_name,
        dataset_schema,
        store_kwargs,
        feature_space,
        add,
        tries,
        {"zarr_layer": zarr_layer, **options} if "layers" not in options else options,
    )
    job.open()  # an error here is the caller's, not one of each file
    with _client(client) as workers, _bar(len(named), progress) as advance:
        outcomes = _run(workers, job, named, advance, worker_timeout_s)
        for group in [group for group, outcome in outcomes.items() if outcome is None]:
            if any(outcome is not None and outcome.without_workers for outcome in outcomes.values()):
                worker_timeout_s = 0  # it has passed already; nobody waits as long for each of these
            # Once more and alone, since it may have died of a neighbour.
            outcomes[group] = _again(workers, job, group, named[group], advance, worker_timeout_s)
    died = "a worker died of it each time, of lack of memory or of a crash"
    return _table([outcome or _Outcome(group, named[group], error=died) for group, outcome in outcomes.items()])


def _again(
    workers: Any, job: _Job, group: str, path: str, advance: Callable[[], None], worker_timeout_s: float
) -> _Outcome | None:
    """As `_run` for one file; whatever befalls the cluster by now, the outcomes of the other files are known."""
    try:
        return _run(workers, job, {group: path}, advance, worker_timeout_s)[group]
    except Exception as error:
        return _Outcome(group, path, error=f"{type(error).__name__}: {error}")


def _run(
    workers: Any, job: _Job, named: Mapping[str, str], advance: Callable[[], None], worker_timeout_s: float
) -> dict[str, _Outcome | None]:
    """The outcome of each file; None where workers died with it several times, whosever fault it was."""
    futures = {workers.submit(_add_file, job, group, path, pure=False): group for group, path in named.items()}
    given_up = (
        f"the cluster had no worker for {worker_timeout_s:g} s (worker_timeout_s); nobody was there to add the file"
    )
    outcomes: dict[str, _Outcome | None] = {
        group: _Outcome(group, path, error=given_up, without_workers=True) for group, path in named.items()
    }
    try:
        for future, answer in _answers(workers, list(futures), worker_timeout_s):
            group = futures[future]
            outcomes[group] = _outcome(answer, group, named[group])
            if outcomes[group] is not None:
                advance()
        return outcomes
    finally:
        if workers.status != "closed":
            workers.cancel([future for future in futures if not future.done()])


def _answers(workers: Any, futures: list[Any], worker_timeout_s: float) -> Iterator[tuple[Any, Any]]:
    """Futures and their answers as they come, until all have or there was no worker for too long."""
    # Answers are fetched as they come: what a worker still holds when it dies is computed again.
    completed = distributed.as_completed(futures, loop=workers.loop, with_results=True, raise_errors=False)
    seen_worker = asked = time.monotonic()
    while not completed.is_empty():
        yield from completed.next_batch(block=False)
        time.sleep(_ASK_EVERY_S)
        if (now := time.monotonic()) - asked < _ASK_WORKERS_EVERY_S:
            continue
        asked = now
        if _has_workers(workers):
            seen_worker = now
        elif now - seen_worker >= worker_timeout_s:
            yield from completed.next_batch(block=False)
            return


def _has_workers(workers: Any) -> bool:
    try:
        return workers.status != "closed" and bool(workers.nthreads())
    except OSError:  # the scheduler did not answer for as long as Dask asks it
        return False


@dataclass(frozen=True)
class _Job:
    """What every worker needs to know; travels to them."""

    atlas_uri: str
    cell_table_name: str
    cell_schema: type[HoxBaseSchema]
    dataset_table_name: str
    dataset_schema: type[DatasetRecord]
    store_kwargs: dict[str, Any] | None
    feature_space: str
    add: AddFile | None
    tries: int
    options: dict[str, Any]

    def open(self) -> RaggedAtlas:
        return RaggedAtlas.open(
            self.atlas_uri,
            self.cell_table_name,
            self.cell_schema,
            self.dataset_table_name,
            store_kwargs=self.store_kwargs,
        )

    def add_file(self, atlas: RaggedAtlas, path: str, group: str) -> int:
        if self.add is not None:
            return self.add(atlas, path, group)
        record = self.dataset_schema(zarr_group=group, feature_space=self.feature_space, n_cells=_count_cells(path))
        return add_from_anndata(atlas, path, feature_space=self.feature_space, dataset_record=record, **self.options)

    def other_dataset(self, atlas: RaggedAtlas, path: str, group: str) -> str | None:
        """In what the dataset that has the group already differs from the file; None if in nothing that is known."""
        if self.add is not None:
            return None  # only that function knows what its files become
        record = atlas.catalog.datasets.by_group().get(group)
        if record is None:
            return None
        expected = {"feature_space": self.feature_space, "n_cells": _count_cells(path)}
        differing = [
            f"{name} {record[name]!r} there and {value!r} here"
            for name, value in expected.items()
            if record[name] != value
        ]
        if not differing:
            return None
        return f"another dataset has the group '{group}': {', '.join(differing)}; give the file another group name"


def _count_cells(path: str) -> int:
    with open_source(path, Reading()) as opened:
        return len(opened.obs())


@dataclass
class _Outcome:
    zarr_group: str
    file: str
    status: str = FAILED
    n_cells: int | None = None
    seconds: float = field(default=0.0)
    tries: int = 0
    error: str | None = None
    without_workers: bool = False


def _add_file(job: _Job, group: str, path: str) -> _Outcome:
    """Runs on a worker. Every error becomes part of the answer, so that it is told with the file that it is of."""
    outcome = _Outcome(group, path)
    started = time.monotonic()
    try:
        _try_until_settled(job, outcome)
    except Exception as error:
        outcome.error = f"{type(error).__name__}: {error}"
    finally:
        outcome.seconds = time.monotonic() - started
    return outcome


def _try_until_settled(job: _Job, outcome: _Outcome) -> None:
    atlas = job.open()
    while True:
        if outcome.zarr_group in atlas.catalog.groups_with_cells():
            # From an earlier call, from a worker that died right after its commit, or from one that Dask took for lost
            # and that was the writer in our way.
            outcome.error = job.other_dataset(atlas, outcome.file, outcome.zarr_group)
            outcome.status = PRESENT if outcome.error is None else FAILED
            return
        outcome.tries += 1
        try:
            outcome.n_cells = job.add_file(atlas, outcome.file, outcome.zarr_group)
            outcome.status = ADDED
            return
        except ConflictError:
            if outcome.tries >= job.tries:
                raise
            # Writers that failed together would otherwise meet again.
            time.sleep(random.random() * min(0.05 * 2**outcome.tries, 5))


def _outcome(answer: Any, group: str, path: str) -> _Outcome | None:
    """The answer of a task, or why there is none: its function could not travel, say. None: workers died."""
    if isinstance(answer, _Outcome):
        return answer
    error = answer[1] if isinstance(answer, tuple) else answer
    if isinstance(error, distributed.KilledWorker):
        return None
    return _Outcome(group, path, error=f"{type(error).__name__}: {error}")


def _named(files: Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]]) -> dict[str, str]:
    """Group name -> path."""
    if isinstance(files, str | os.PathLike):
        raise InvalidArgumentError(f"files must be a sequence or a mapping of paths, found the path '{files}'")
    if isinstance(files, Mapping):
        named = {name: os.fspath(path) for name, path in files.items()}
    else:
        named = {}
        for path in (os.fspath(file) for file in files):
            group = Path(path).name.split(".")[0]
            if group in named:
                raise InvalidArgumentError(
                    f"files '{named[group]}' and '{path}' would both be group '{group}'; give a mapping of group names "
                    "to paths"
                )
            named[group] = path
    for group in named:
        check_group_name(group, "group name")
        check_not_nested(group, named)
    return named


@contextmanager
def _client(given: Any) -> Iterator[Any]:
    """The client that was given, the current one, or one for the time of the call."""
    if given is not None:
        yield given
        return
    try:
        current = distributed.default_client()
    except ValueError:
        current = None
    if current is not None:
        yield current
        return
    # Threads would share one Python lock where obs is converted; the core's own threads fill the cores. The port 0 is
    # any that is free: another cluster of this machine may have the usual one.
    with (
        distributed.LocalCluster(
            threads_per_worker=1, dashboard_address=":0", scheduler_kwargs={"dashboard": False}
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextmanager
def _bar(n_files: int, wanted: bool) -> Iterator[Callable[[], None]]:
    """Gives a function to call after each file."""
    if not wanted or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task("files", total=n_files)
        yield lambda: shown.advance(task)


def _table(outcomes: list[_Outcome]) -> pl.DataFrame:
    import polars as pl

    schema = {
        "zarr_group": pl.String,
        "file": pl.String,
        "status": pl.String,
        "n_cells": pl.Int64,
        "seconds": pl.Float64,
        "tries": pl.Int64,
        "error": pl.String,
    }
    rows = [{name: getattr(outcome, name) for name in schema} for outcome in outcomes]
    return pl.DataFrame(rows, schema=schema)
