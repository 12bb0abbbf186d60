"""The built wheel on trial in an empty environment: what it weighs, what works; what a missing extra says.

make dist && python bench/wheel.py [--wheel FILE] [--constraints FILE] [--folder DIR]

Installs the wheel with the pins and nothing of this checkout, in a folder that goes away afterwards (1.2 GB),
and prints a report; leaves with 1 where something was not as it should be. Needs the package index.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
_MEGABYTE = 10**6

_STUDY = """recipe = "gan"
data = "ring"
seeds = [0]
metrics = ["modes"]
budget = { steps = 5 }
"""
_SEARCH = (
    '[search]\ntrials = 1\nranges = { "optimizer.generator.lr" = { low = 1e-4, high = 1e-2, log = true } }\n'
)
# Extra → a command that needs it.
_MISSING = {
    "studio": ["studio", "runs"],
    "export": ["export", "RUN"],
    "search": ["search", "search.toml"],
    "cluster": ["study", "study.toml", "--cluster", "tcp://127.0.0.1:1"],
    "metrics": ["evaluate", "RUN", "--metrics", "fid", "--features", "inception"],
    "vision": ["train", "dcgan", "--data", "svhn", "--steps", "1"],
    "shards": ["train", "dcgan", "--data", "shards:shells-{0..1}.tar", "--steps", "1"],
    "hf": ["train", "dcgan", "--data", "hf:ylecun/mnist", "--steps", "1"],
    "hub": ["push", "RUN", "somebody/digits"],
    "track": ["track", "RUN", "--to", "tensorboard"],
}
_NO_COMMAND = {"dev", "docs"}  # extras for those who work on duel itself
_USER = '''"""A user's script."""

import duel

with duel.train("gan", data="ring", out="typed", steps=2) as session:
    for event in session:
        reveal_type(event)
run = duel.load("typed")
reveal_type(run)
reveal_type(run.sample(4))
duel.train(5)
'''
_LOADED = """import sys
sys.argv = ["duel", "list"]
from duel.cli import main
main()
print(",".join({"torch", "numpy"} & set(sys.modules)) or "none")
"""
_TYPED = (
    'Revealed type is "dict[str, Any]"',
    'Revealed type is "duel.run.Run"',
    'Revealed type is "numpy.ndarray[',
    'Argument 1 to "train" has incompatible type "int"',
)


@dataclass
class Trial:
    """An environment with the wheel in it, a folder to work in, and what was seen there."""

    place: Path
    wheel: Path
    constraints: Path
    wrong: list[str] = field(default_factory=list)

    @property
    def python(self) -> Path:
        return self.place / "venv" / "bin" / "python"

    @property
    def work(self) -> Path:
        return self.place / "work"

    def install(self, *wanted: str) -> None:
        """pip, with the pins."""
        pip: list[str | Path] = [
            self.python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, "-c", self.constraints, *wanted], check=True, stderr=subprocess.DEVNULL)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A program of the environment, away from the checkout and from any data of this machine."""
        return subprocess.run(
            [self.place / "venv" / "bin" / words[0], *words[1:]],
            cwd=self.work, env=self.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """This process's, without what would show the checkout or let anything be downloaded."""
        kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "DUEL_DATA")}
        return {**kept, "DUEL_OFFLINE": "1", "XDG_CACHE_HOME": str(self.place / "cache")}

    def expect(self, what: str, right: bool, said: str) -> None:
        """A row of the report."""
        print(f"| {what} | {'yes' if right else '**no**'} | {said} |", flush=True)
        if not right:
            self.wrong.append(what)

    def runs(self, *words: str, then: str | None = None) -> None:
        """A command that must end with 0, and leave a file."""
        began = time.perf_counter()
        done = self.call(*words)
        right = done.returncode == 0 and (then is None or (self.work / then).exists())
        last = (done.stdout if right else done.stdout + done.stderr).strip().splitlines()[-1:]
        self.expect(f"`{' '.join(words)}`", right, f"{time.perf_counter() - began:.0f} s; {''.join(last)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wheel", type=Path, help="by default the one in dist/")
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--folder", type=Path, help="where the environment stands for the time of the trial")
    given = parser.parse_args()
    wheel = given.wheel or newest(ROOT / "dist")
    with tempfile.TemporaryDirectory(prefix="duel-wheel-", dir=given.folder) as folder:
        trial = Trial(Path(folder), wheel.resolve(), given.constraints.resolve())
        trial.work.mkdir()
        subprocess.run([sys.executable, "-m", "venv", trial.place / "venv"], check=True)
        print(f"{wheel.name}, {wheel.stat().st_size / _MEGABYTE:.2f} MB; Python {sys.version.split()[0]}\n")
        trial.install(str(trial.wheel))
        sizes(trial.place / "venv")
        print("| what | as it should be | seen |\n|---|---|---|")
        without_extras(trial)
        missing_extras(trial)
        types(trial)
        with_studio(trial)
        with_export(trial)
    if trial.wrong:
        sys.exit(f"not as it should be: {', '.join(trial.wrong)}")


def newest(folder: Path) -> Path:
    """The wheel that `make dist` left."""
    found = sorted(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not found:
        sys.exit(f"there is no wheel in {folder}: run `make dist` first, or give --wheel")
    return found[-1]


def sizes(venv: Path, shown: int = 12) -> None:
    """What the packages of the environment weigh on disk, the heaviest first."""
    site = next((venv / "lib").glob("python*/site-packages"))
    packages = distributions(path=[str(site)])
    weights = {one.metadata["Name"]: weight(one) for one in packages}
    own = {name: weights.pop(name) for name in ("pip", "setuptools") if name in weights}
    heaviest = sorted(weights.items(), key=lambda item: -item[1])
    total = sum(weights.values())
    print("| package | MB |\n|---|---|")
    for name, size in heaviest[:shown]:
        print(f"| {name} | {size / _MEGABYTE:.1f} |")
    rest = sum(size for _, size in heaviest[shown:])
    print(f"| {len(heaviest) - shown} others | {rest / _MEGABYTE:.1f} |")
    print(f"| all | {total / _MEGABYTE:.1f} |")
    print(f"| all but torch | {(total - weights.get('torch', 0)) / _MEGABYTE:.1f} |")
    print(f"\npip and setuptools, {sum(own.values()) / _MEGABYTE:.1f} MB, are not counted.\n")


def weight(package: Distribution) -> int:
    """The bytes of its files, each once."""
    files = {Path(str(file.locate())).resolve() for file in package.files or ()}
    return sum(file.stat().st_size for file in files if file.is_file())


def without_extras(trial: Trial) -> None:
    """What the plain install does."""
    where = trial.call("python", "-c", "import duel; print(duel.__file__)").stdout.strip()
    trial.expect("the installed package is used", str(trial.place) in where, "not the checkout")
    trial.runs("python", "-W", "error", "-c", "import duel")
    version = trial.wheel.name.split("-")[1]
    said = trial.call("duel", "--version").stdout.strip()
    trial.expect("`duel --version`", said == f"duel {version}", said)
    trial.runs("duel", "list")
    trial.runs("duel", "train", "demo", "--steps", "60", "--out", "RUN", "--quiet", then="RUN/film.png")
    trial.runs("duel", "sample", "RUN", then="sample.png")
    trial.runs("duel", "evaluate", "RUN", "--samples", "200")
    trial.runs("duel", "diagnose", "RUN")
    trial.runs("duel", "report", "RUN", then="RUN/report.html")
    loaded = trial.call("python", "-c", _LOADED).stdout.split()[-1:]
    help_, list_, plain = (
        seconds(trial, *words)
        for words in (["duel", "--help"], ["duel", "list"], ["python", "-c", "import duel"])
    )
    times = f"import duel {plain:.2f} s, duel --help {help_:.2f} s, duel list {list_:.2f} s"
    trial.expect("`duel list` loads neither torch nor numpy", loaded == ["none"], times)


def seconds(trial: Trial, *words: str) -> float:
    """The fastest of five calls: what else runs on the machine only adds to it."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        trial.call(*words)
        taken.append(time.perf_counter() - began)
    return min(taken)


def missing_extras(trial: Trial) -> None:
    """Each part that an extra brings says which, in one line, with exit status 2."""
    (trial.work / "study.toml").write_text(_STUDY)
    (trial.work / "search.toml").write_text(_STUDY + _SEARCH)
    for extra in extras(trial.wheel):
        if extra in _NO_COMMAND:
            continue
        words = _MISSING.get(extra)
        if words is None:
            trial.expect(f"without [{extra}]", False, "no command here needs it: add one to _MISSING")
            continue
        done = trial.call("duel", *words)
        said = done.stderr.strip()
        right = done.returncode == 2 and f"pip install 'duel[{extra}]'" in said and "\n" not in said
        trial.expect(f"without [{extra}]: `duel {' '.join(words)}`", right, f"{done.returncode}; {said}")


def extras(wheel: Path) -> list[str]:
    """The extras that the wheel's metadata names."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().partition("\n\n")[0].splitlines()
    return sorted(line.partition(": ")[2] for line in lines if line.startswith("Provides-Extra: "))


def types(trial: Trial) -> None:
    """A type checker reads the installed package's types in a user's script."""
    trial.install("mypy")
    (trial.work / "user.py").write_text(_USER)
    said = trial.call("mypy", "--strict", "user.py").stdout
    lacking = [each for each in _TYPED if each not in said]
    trial.expect("a user's script has types", not lacking, f"{'; '.join(lacking) or 'by mypy --strict'}")
    if lacking:
        print(said, file=sys.stderr)


def with_studio(trial: Trial) -> None:
    """The studio starts, answers, and ends at Ctrl-C."""
    trial.install(f"duel[studio] @ {trial.wheel.as_uri()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    duel = trial.place / "venv" / "bin" / "duel"
    with subprocess.Popen(
        [duel, "studio", ".", "--port", str(port)],
        cwd=trial.work, env=trial.environment(), stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            server.stdout.readline()  # says where it is once it listens
            runs = answer(port, "/api/runs")
            named = [run.get("name") for run in json.loads(runs).get("runs", [])]
            trial.expect("with [studio]: /api/runs", named == ["RUN"], f"runs: {named}")
            page = answer(port, "/")
            trial.expect("with [studio]: the page", b"<script" in page, f"{len(page):,} bytes")
        finally:
            server.send_signal(signal.SIGINT)
            status = server.wait()
    trial.expect("the studio ends at Ctrl-C", status in (0, 130), f"exit status {status}")


def answer(port: int, path: str) -> bytes:
    """What the studio says there; empty where it says nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as given:
            content: bytes = given.read()
            return content
    except (OSError, urllib.error.URLError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return b"{}"


def with_export(trial: Trial) -> None:
    """The generator as ONNX, run by onnxruntime."""
    trial.install(f"duel[export] @ {trial.wheel.as_uri()}")
    trial.runs("duel", "export", "RUN", "--out", "model.onnx", then="model.onnx")
    script = "import onnxruntime as o; print([x.name for x in o.InferenceSession('model.onnx').get_inputs()])"
    trial.runs("python", "-c", script)


if __name__ == "__main__":
    main()
