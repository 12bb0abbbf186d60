"""Where the runs of a study are played: processes of this machine, or the workers of a cluster."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any

from duel.errors import InputError

_TRIES = 3  # of a job whose process dies
_PATIENCE = 5  # seconds for a scheduler to answer


class Lanes:
    """Processes that each play one job at a time. One that dies is replaced, and its job tried again.

    A pool of its own for each, because a pool gives up all of its jobs when one process dies.
    """

    def __init__(self, count: int) -> None:
        self._free: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(_lane())
        self._threads = ThreadPoolExecutor(count)
        self._count = count

    def submit(self, function: Callable[[Any], str], job: Any) -> Future[str]:
        """Play `function(job)` in the next free process; BrokenProcessPool after three that died of it."""
        return self._threads.submit(self._play, function, job)

    def _play(self, function: Callable[[Any], str], job: Any) -> str:
        lane = self._free.get()
        try:
            for left in reversed(range(_TRIES)):
                try:
                    return lane.submit(function, job).result()
                except BrokenProcessPool:
                    lane.shutdown()
                    lane = _lane()
                    if not left:
                        raise
            raise AssertionError("the last try returns or raises")
        finally:
            self._free.put(lane)

    def shutdown(self) -> None:
        """Wait for what is under way; what has not begun is dropped."""
        self._threads.shutdown(cancel_futures=True)
        for _ in range(self._count):
            self._free.get().shutdown()


def _lane() -> ProcessPoolExecutor:
    # Not "fork": torch's threads do not survive it.
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Ctrl-C and the end of a job are the parent's to hear; a worker whose parent is killed leaves, too."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):  # both reach the whole group of processes
        signal.signal(number, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def executor(workers: int, cluster: str | None) -> Iterator[Lanes | Executor]:
    """Something to `submit(function, job)` to: `workers` processes here, or the Dask cluster at an address.

    Leaving waits for what is under way. InputError where the cluster cannot be used (`reach`).
    """
    if cluster is None:
        lanes = Lanes(workers)
        try:
            yield lanes
        finally:
            lanes.shutdown()
        return
    # pure=False: a run that is tried again must not get the old result. Jobs whose worker dies go to another
    # by themselves, as often as the scheduler allows (distributed.scheduler.allowed-failures).
    with contextlib.closing(reach(cluster)) as client, client.get_executor(pure=False) as pool:
        yield pool


def reach(cluster: str) -> Any:
    """A client of the Dask cluster at an address; the caller closes it.

    Each worker must have one thread, since two runs in one process would share torch's random numbers; and
    it must see the study's folder under the same path. InputError where there is none, or no such workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "--cluster needs the extra duel[cluster]: pip install 'duel[cluster]', or leave --cluster out to "
            "use this machine"
        ) from error
    try:
        client = Client(cluster, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"there is no Dask scheduler at {cluster!r} ({error}): give HOST:PORT") from error
    threads = {worker["nthreads"] for worker in client.scheduler_info(-1)["workers"].values()}
    if threads == {1}:
        return client
    client.close()
    found = f"workers with {max(threads)} threads" if threads else "no workers"
    raise InputError(
        f"the cluster at {cluster} has {found}: start some with `dask worker {cluster} --nthreads 1`"
    )
