"""Two machines train one model: a network namespace each, joined by a cable; Linux, as root.

Each namespace has a host name, an address and a network card (veth) of its own and no way out; they share the
disk, as the machines of a cluster do. Both are given the same `duel train RECIPE --nodes 2 --devices 1
--rendezvous node1:29500`, and the weights are compared with those of one process at the same batch, in
float64. Also printed: the bytes that one machine sent in a step, beside those of the gradients. The
namespaces are removed at the end.

    sudo .venv/bin/python bench/two_machines.py [--recipe dcgan] [--steps 20] [--rate 100mbit]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cost import messages
from torch import Tensor

from duel.run import Run

NODES = ("node1", "node2")
ADDRESSES = ("10.213.7.1", "10.213.7.2")
PORT = 29500


def space(node: str) -> str:
    """The namespace of a node."""
    return f"duel-bench-{node}"


def ip(*words: str) -> str:
    """Run `ip`; what it printed. Ends the program with what it refused."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()} (two machines need Linux and root)")
    return done.stdout


@contextmanager
def two_machines(rate: str | None) -> Iterator[None]:
    """Two namespaces joined by a cable, of a limited rate (as `tc` writes it) or none; gone at the end."""
    files = [Path("/etc/netns") / space(node) / "hosts" for node in NODES]
    try:
        for node, file in zip(NODES, files, strict=True):
            ip("netns", "add", space(node))
            file.parent.mkdir(parents=True)
            names = [f"{address} {name}\n" for address, name in zip(ADDRESSES, NODES, strict=True)]
            # `ip netns exec` shows it as /etc/hosts.
            file.write_text("127.0.0.1 localhost\n" + "".join(names))
        one, other = map(space, NODES)
        cable = ["eth0", "netns", one, "type", "veth", "peer", "name", "eth0", "netns", other]
        ip("link", "add", *cable)
        for node, address in zip(NODES, ADDRESSES, strict=True):
            ip("-n", space(node), "address", "add", f"{address}/24", "dev", "eth0")
            for card in ("lo", "eth0"):
                ip("-n", space(node), "link", "set", card, "up")
            if rate is not None:
                limit = ["tbf", "rate", rate, "burst", "64kb", "latency", "400ms"]
                subprocess.run(
                    ["tc", "-n", space(node), "qdisc", "add", "dev", "eth0", "root", *limit], check=True
                )
        yield
    finally:
        for node, file in zip(NODES, files, strict=True):
            subprocess.run(["ip", "netns", "delete", space(node)], capture_output=True, check=False)
            file.unlink(missing_ok=True)
            if file.parent.is_dir():
                file.parent.rmdir()


def on(node: str, command: Sequence[str]) -> list[str]:
    """The command as it is run on a node, whose host name is its own."""
    named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', node, *command]
    return ["ip", "netns", "exec", space(node), *named]


def sent(node: str) -> int:
    """Bytes that a node's card has sent."""
    (card,) = json.loads(ip("-n", space(node), "-s", "-j", "link", "show", "eth0"))
    return int(card["stats64"]["tx"]["bytes"])


def last_tensors(run: Path) -> dict[str, Tensor]:
    """All of the last checkpoint."""
    return {
        f"{group}.{name}": value
        for group, parts in Run(run).load_checkpoint("last")[0].items()
        for name, value in parts.items()
    }


def difference(one: Path, other: Path) -> float:
    """The largest difference of any weight, buffer or moment."""
    first, second = last_tensors(one), last_tensors(other)
    assert first.keys() == second.keys()
    return max(float((first[key] - second[key]).abs().max()) for key in first)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="dcgan")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rate", help="of the cable, as tc writes it (100mbit); none by default")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    settings = ["network.width=8", "precision=float64", f"log.every={given.steps}", "signals.every=0"]
    command = [sys.executable, "-m", "duel", "train", given.recipe, "--data", given.data, "--quiet"]
    command += ["--steps", str(given.steps), *(part for each in settings for part in ("--set", each))]
    with tempfile.TemporaryDirectory(prefix="duel-two-machines-") as folder, two_machines(given.rate):
        one, two = Path(folder) / "one", Path(folder) / "two"
        subprocess.run([*command, "--out", str(one)], check=True)
        command += ["--nodes", "2", "--devices", "1", "--rendezvous", f"{NODES[0]}:{PORT}", "--out", str(two)]
        began, before = time.perf_counter(), sent(NODES[0])
        both = [subprocess.Popen(on(node, command)) for node in NODES]
        ended = [each.wait() for each in both]
        seconds, after = time.perf_counter() - began, sent(NODES[0])
        if any(ended):
            sys.exit(f"the two commands ended with {ended}")
        run, apart = Run(two), difference(one, two)
        each_step = messages(run.recipe, run.recipe.data.load())
        tensors, processes = len(last_tensors(two)), run.provenance["processes"]
    counted = given.steps * (sum(each_step.summed) + sum(each_step.gathered))
    print(f"{given.recipe} on {given.data}, {given.steps} steps, {processes} processes on two machines")
    print(
        f"largest difference from one process: {apart:.1g} over {tensors} tensors (weights, buffers, moments)"
    )
    print(
        f"{seconds:.1f} s in all; {NODES[0]} sent {(after - before) / 1e6:.2f} MB, the messages of the steps "
        f"are {counted / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
