"""Start a command in several processes, on one machine or several, by torchrun's launcher."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from duel.errors import InputError

_SAVING = 600  # seconds that processes get to save after an interrupt


def launch(arguments: Sequence[str], devices: int, nodes: int, rendezvous: str | None) -> int:
    """Run `duel ARGUMENTS` in `devices` processes here, of `nodes` machines; the first one's exit status.

    rendezvous  HOST:PORT of one of the machines, the same in each one's command; not needed for one

    Each process gets its share of this machine's cores unless OMP_NUM_THREADS says otherwise.
    """
    if devices < 1 or nodes < 1:
        raise InputError(f"--devices is {devices} and --nodes {nodes}, allowed are integers from 1")
    if nodes > 1 and rendezvous is None:
        raise InputError(
            f"--nodes {nodes} needs --rendezvous HOST:PORT, the same on every machine: HOST is one of them"
        )
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # What went wrong in a process, that process says.
    logging.disable(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // devices)))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(_SAVING))
    config = LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=devices,
        run_id="duel",
        rdzv_backend="c10d",
        rdzv_endpoint=rendezvous or "localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        start_method="spawn",
        signals_to_handle="SIGTERM,SIGINT",
    )
    try:
        elastic_launch(config, sys.executable)("-m", "duel", *arguments)
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        return int(error.failures.get(0, first).exitcode)
    except SignalException as received:
        return 128 + int(received.sigval)
    return 0


def without_launching(arguments: Sequence[str]) -> list[str]:
    """A command's arguments without the options that are `launch`'s own."""
    own, kept, skip = ("--devices", "--nodes", "--rendezvous"), [], False
    for each in arguments:
        if not skip and each.partition("=")[0] not in own:
            kept.append(each)
        skip = not skip and each in own
    return kept
