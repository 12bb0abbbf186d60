"""Models to the Hub and back, through the Hub's own client, to a server on the loopback."""

import json
import re
import shutil
import socket
import sys
from pathlib import Path

import hub_server
import numpy as np
import pytest
import tiny

import duel as package
from duel import hub as hubs
from duel.errors import CheckpointError, DuelError, InputError, RecipeError, RunError
from duel.markdown import escaped
from duel.run import Run

library = pytest.importorskip("huggingface_hub", reason="the extra duel[hub] is not installed")
constants = pytest.importorskip("huggingface_hub.constants")
yaml = pytest.importorskip("yaml")

# the client's own way of uploading, which it has deprecated in its HTTP library
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

SMALL = {"latent.size": 5, "batch_size": 8, "threads": 1, "sample.count": 4, "log.every": 5}
RUNS = {
    "dcgan": ("dcgan", {"network.width": 4, "ema.decay": 0.5}),
    "cgan": ("cgan", {"network.width": 4}),
    "bigan-dense": ("bigan-dense", {"network.hidden": [12, 10], "ema.decay": 0.5}),
    "points": ("gan", {"data.name": "ring", "data.samples": 400, **tiny.POINTS, "latent.size": 5}),
    "scratch": ("gan", {"engine": "scratch", **tiny.POINTS, "latent.size": 5}),
    "spectral": ("sngan", {"network.width": 4}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Tiny runs by the names of `RUNS`; made on first use, changed by no test."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(name):
        if name not in made:
            recipe, changes = RUNS[name]
            data = None if "data.name" in changes else "digits"
            with package.train(
                recipe, data=data, out=folder / name, steps=3, changes={**SMALL, **changes}
            ) as session:
                list(session)
            made[name] = folder / name
        return Run(made[name])

    return run


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub of its own, at which "hf_owner" is logged in."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("DUEL_OFFLINE")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_owner")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "no-cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with hub_server.serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
        yield server
        library.close_session()


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """The command line in an empty folder: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: tiny.command(capsys, monkeypatch, *arguments)


def published(hub, run, **options):
    """The files of a run's model, as strangers see them."""
    hubs.push(run, "ada/model", **options)
    return hub.files("ada/model")


def forged(hub, run, name="eve/model", **changes):
    """A model of somebody else's, with other files: content, or a function of the true content."""
    files = dict(published(hub, run))
    for file, change in changes.items():
        path = file.replace("__", ".")
        files[path] = change(files[path]) if callable(change) else change
    hub.publish(name, files)
    return f"hub:{name}"


def edited(**changes):
    """A change of a JSON file: some keys get other values."""
    return lambda content: json.dumps({**json.loads(content), **changes}).encode()


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", RUNS)
def test_what_comes_back_samples_alike_bit_for_bit(name, trained, hub):
    run = trained(name)
    pushed = hubs.push(run, "ada/model")
    commit = hub.repositories["ada/model"].commits[-1][0]
    assert pushed.url == f"{hub.url}/ada/model/commit/{commit}"
    back = package.load("hub:ada/model")
    assert (back.spec, back.recipe) == (run.spec, run.recipe)
    for seed in (0, 7):
        assert back.sample(9, seed).tobytes() == run.sample(9, seed).tobytes()
    if run.conditional:
        assert back.sample(5, label=3).tobytes() == run.sample(5, label=3).tobytes()
    for network, module in run.networks().named().items():
        theirs = back.networks().named()[network].state_dict()
        for key, value in module.state_dict().items():
            assert theirs[key].numpy().tobytes() == value.numpy().tobytes(), key


def test_a_model_that_came_back_is_published_as_it_was(trained, hub):
    first = published(hub, trained("dcgan"))
    hubs.push(package.load("hub:ada/model"), "bob/copy")
    second = hub.files("bob/copy")
    assert first.keys() == second.keys()
    for file in first.keys() - {"README.md"}:
        assert first[file] == second[file], file
    assert second["README.md"].replace(b"bob/copy", b"ada/model") == first["README.md"].replace(
        b"name: model", b"name: copy"
    )


def test_weights_are_the_averaged_ones_unless_asked_otherwise(trained, hub, tmp_path):
    run = trained("dcgan")
    hubs.push(run, "ada/averaged")
    hubs.push(run, "ada/raw", weights="raw")
    averaged, raw = package.load("hub:ada/averaged"), package.load("hub:ada/raw")
    assert averaged.weights_used("last", "ema") == "ema"
    assert raw.weights_used("last", "ema") == raw.weights_used("last", "raw") == "raw"
    assert raw.sample(4).tobytes() == run.sample(4, weights="raw").tobytes() != averaged.sample(4).tobytes()
    with pytest.raises(RunError, match="was published with its averaged weights alone"):
        averaged.sample(4, weights="raw")


def test_an_encoder_comes_along(trained, hub):
    run = trained("bigan-dense")
    hubs.push(run, "ada/model")
    images = run.sample(3)
    assert package.load("hub:ada/model").encode(images).tobytes() == run.encode(images).tobytes()


def test_a_path_is_opened_as_before(trained):
    path = trained("dcgan").path
    assert package.load(path).path == package.load(str(path)).path == path
    with pytest.raises(RunError, match="is not a run"):
        package.load(path / "samples")


def test_a_whole_commit_needs_no_network_once_it_is_here(trained, hub, monkeypatch):
    hubs.push(trained("dcgan"), "ada/model")
    first = package.load("hub:ada/model")
    commit, asked = first.path.name, len(hub.asked)
    assert package.load("hub:ada/model").path == first.path
    assert [path for _, path, _ in hub.asked[asked:]] == ["/api/models/ada/model"]
    monkeypatch.setenv("DUEL_OFFLINE", "1")
    assert package.load(f"hub:ada/model@{commit}").path == first.path
    with pytest.raises(DuelError, match=r"hub:ada/model needs the network, and DUEL_OFFLINE .* unset it"):
        package.load("hub:ada/model")


def test_an_earlier_commit_is_another_model(trained, hub):
    hubs.push(trained("dcgan"), "ada/model")
    commit = hub.repositories["ada/model"].commits[-1][0]
    hubs.push(trained("dcgan"), "ada/model", weights="raw")
    old, new = package.load(f"hub:ada/model@{commit}"), package.load("hub:ada/model")
    assert old.sample(2).tobytes() == trained("dcgan").sample(2).tobytes() != new.sample(2).tobytes()


# ---------------------------------------------------------------- what is published


def test_the_files_are_named_and_are_what_the_run_has(trained, hub):
    run = trained("cgan")
    files = published(hub, run)
    assert set(files) == {
        ".gitattributes", "README.md", "config.json", "model.safetensors", "recipe.toml", "samples.png",
    }  # fmt: skip
    config = json.loads(files["config.json"])
    assert config["classes"] == list("0123456789")
    assert (config["shape"], config["latent_size"], config["latent_prior"]) == ([1, 8, 8], 5, "normal")
    assert "round((image + 1) * 127.5)" in config["normalisation"]
    assert config["class_counts"] == run.provenance["data"]["class_counts"]
    assert config["provenance"]["versions"] == run.provenance["versions"]
    assert files["samples.png"].startswith(b"\x89PNG")


def test_nothing_of_this_machine_is_published(hub, tmp_path):
    from PIL import Image

    photos = tmp_path / "my secret client" / "photos"
    for kind in ("cats", "dogs"):
        (photos / kind).mkdir(parents=True)
        for number in range(12):
            shade = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(shade).save(photos / kind / f"private-{number}.png")
    (photos / "cats" / "private-broken.png").write_bytes(b"no picture")
    changes = {**tiny.TINY, "data.resolution": 8, "signals.every": 1, "latent.size": 2}
    run = tmp_path / "my secret client" / "run"
    with package.train("dcgan", data=photos, out=run, steps=8, changes=changes) as session:
        list(session)
    run = Run(run)
    assert run.findings()
    run.record_metrics({"step": 8, **evaluation(run, target=str(run.path))})
    files = published(hub, run)
    assert "metrics.jsonl" in files
    assert "findings.json" in files
    for name, content in files.items():
        for betraying in ("my secret client", "private-", str(Path.home()), str(tmp_path), "site-packages"):
            assert betraying.encode() not in content, (name, betraying)
    assert b'path = "./photos"' in files["recipe.toml"]
    assert json.loads(files["config.json"])["provenance"]["skipped"] == 1
    assert package.load("hub:ada/model").sample(2).tobytes() == run.sample(2).tobytes()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"name": "folder", "path": "/home/ada/x/shells/"}, {"path": "./shells"}),
        ({"name": "folder", "path": "../x/shells"}, {"path": "./shells"}),
        ({"name": "hf", "source": "/home/ada/pets"}, {"source": "./pets"}),
        ({"name": "hf", "source": "ylecun/mnist"}, {"source": "ylecun/mnist"}),
        ({"name": "shards", "pattern": ["/a/x-{0..9}.tar", "~/b"]}, {"pattern": ["./x-{0..9}.tar", "./b"]}),
    ],
)  # fmt: skip
def test_of_paths_only_the_last_part_is_published(data, shown):
    from duel.hub.folder import _without_paths

    assert _without_paths({"data": data, "seed": 3}) == {"data": {**data, **shown}, "seed": 3}


def test_what_an_earlier_model_had_more_is_removed(trained, hub):
    more = {"model.onnx": b"graph", "metrics.jsonl": b"{}", "notes.md": b"the owner's own"}
    hub.publish("ada/model", {**published(hub, trained("dcgan")), **more})
    files = published(hub, trained("dcgan"))
    assert files.keys() & more.keys() == {"notes.md"}
    assert "model.safetensors" in files


def test_a_strangers_repository_is_not_written_to(trained, hub):
    hub.publish("ada/model", {"pytorch_model.bin": b"something else"})
    with pytest.raises(InputError, match="ada/model holds something else than a model of duel"):
        hubs.push(trained("dcgan"), "ada/model")
    assert list(hub.files("ada/model")) == ["pytorch_model.bin"]


def test_private_is_private_or_refused(trained, hub, monkeypatch):
    assert hubs.push(trained("dcgan"), "ada/hidden", private=True).private
    assert hub.repositories["ada/hidden"].private
    assert hubs.push(trained("dcgan"), "ada/hidden").private
    assert not hubs.push(trained("dcgan"), "ada/open").private
    with pytest.raises(InputError, match="ada/open is there and public"):
        hubs.push(trained("dcgan"), "ada/open", private=True)
    assert package.load("hub:ada/hidden").sample(1).shape == (1, 1, 8, 8)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        InputError,
        match=r"(has no model ada/hidden|does not know who you are).*: log in with `hf auth login`",
    ):
        package.load("hub:ada/hidden")


# ---------------------------------------------------------------- the card


def evaluation(run, **provenance):
    """An evaluation of a run's last weights, as `evaluate` returns it."""
    value = {"value": 12.5, "low": 11.0, "high": 14.25, "better": "lower", "n_real": 183, "n_fake": 100}
    return {
        "metrics": {"fid": {**value, "notes": ["biased upward"], "floor": 1.5}},
        "provenance": {
            "seed": 4,
            "checkpoint": run.checkpoint_step(),
            "weights": run.weights_used("last", "ema"),
            "splits": {"real": "test", "classifier": None},
            "n_real": 183,
            "n_fake": 100,
            "data": {"name": "digits", "fingerprint": "f", "notes": []},
            "features": {"name": "inception", "hash": "h", "accuracy": None, "notes": []},
            "versions": {},
            "confidence": 0.95,
            **provenance,
        },
    }


def card_of(run, tmp_path, **options):
    """(metadata, text) of a run's model card."""
    folder = tmp_path / "model"
    hubs.write(run, folder, "ada/model", **options)
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of a tiny run, to be changed."""
    return lambda name: Run(shutil.copytree(trained(name).path, tmp_path / f"copy-{name}"))


def test_the_card_says_what_was_measured_and_no_more(copied, tmp_path):
    run = copied("dcgan")
    run.record_metrics({"step": 3, **evaluation(run)})
    run.record_metrics({"step": 3, **evaluation(run, weights="raw", seed=5)})
    run.record_metrics({"step": 2, **evaluation(run, checkpoint=2, seed=6)})
    front, text = card_of(run, tmp_path, licence="cc-by-4.0")
    assert "| fid | 12.5 | 11 to 14.25 | lower | 100 | 183 | 1.5 |" in text
    assert "Against 183 samples of the test split of digits, in the feature space inception, seed 4." in text
    assert "- fid: biased upward" in text
    assert "seed 5" not in text
    assert "seed 6" not in text
    assert "On the test split: not measured" not in text
    assert "Copies of training samples: not measured." in text
    assert "Licence: cc-by-4.0." in text
    assert (front["library_name"], front["license"]) == ("duel", "cc-by-4.0")
    assert front["pipeline_tag"] == "unconditional-image-generation"
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"] == {"name": "digits", "type": "digits", "split": "test"}
    (metric,) = result["metrics"]
    assert (metric["type"], metric["value"], metric["args"]["low"]) == ("fid", 12.5, 11.0)


def test_the_card_of_an_unmeasured_run_says_so(trained, tmp_path):
    front, text = card_of(trained("points"), tmp_path)
    assert "Not measured: no evaluation of these weights is on record." in text
    assert "How good the samples are: not measured." in text
    assert "Not diagnosed: 0 looks into the training on record, 5 are needed." in text
    assert "Licence: not given" in text
    assert "model-index" not in front
    assert "pipeline_tag" not in front


def test_numbers_that_are_none_are_said_and_stay_out_of_the_metadata(copied, tmp_path):
    run = copied("dcgan")
    result = evaluation(run)
    result["metrics"]["fid"]["high"] = float("inf")
    run.record_metrics({"step": 3, **result})
    front, text = card_of(run, tmp_path)
    assert "| fid | 12.5 | 11 to inf |" in text
    assert "model-index" not in front


def test_the_examples_of_the_card_run(trained, tmp_path, monkeypatch, hub):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    for name, graph in (("cgan", True), ("points", False)):
        folder = tmp_path / name
        hubs.write(trained(name), folder, f"ada/{name}", graph=graph)
        hubs.push(trained(name), f"ada/{name}")
        monkeypatch.chdir(folder)
        blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
        assert len(blocks) == 2
        for block in blocks:
            scope = {}
            exec(block.replace('label="…"', "label=3"), scope)
            if "run" in scope:
                assert scope["images"].tobytes() == trained(name).sample(64, 1, label=3 * (name == "cgan") or None).tobytes()  # noqa: E501  # fmt: skip
            elif graph:
                assert len(scope["samples"]) == 64
            else:
                assert any(key.startswith("generator.") for key in scope["weights"])


HOSTILE = [
    "<script>alert(1)</script>",
    "![x](http://evil.example/track.png)",
    "a | b\n\n# heading\n---\nkey: value",
    "`code` *bold* _it_ ~no~ $x$ @ada www.evil.example &lt; \x1b[31m \u202eabc",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_and_notes_are_text_in_the_card(copied, tmp_path, text):
    run = copied("cgan")
    provenance = json.loads((run.path / "provenance.json").read_text())
    data = provenance["data"]
    data["spec"]["classes"] = [text, *data["spec"]["classes"][1:]]
    provenance["versions"][text] = text
    provenance["data"] = {**data, "name": text, "notes": [text], "splits": {text: 4}, "fingerprint": text}
    (run.path / "provenance.json").write_text(json.dumps(provenance))
    recipe = (run.path / "recipe.toml").read_text()
    (run.path / "recipe.toml").write_text(recipe.replace('name = "cgan"', f"name = {json.dumps(text)}", 1))
    result = evaluation(run)
    result["metrics"][text] = {**result["metrics"]["fid"], "notes": [text]}
    result["provenance"]["data"]["name"] = result["provenance"]["features"]["name"] = text
    run.record_metrics({"step": 3, **result})
    evidence = [{"signal": text, "value": text, "threshold": 1, "steps": [1]}]
    finding = {"name": text, "severity": text, "confidence": 1.0, "explanation": text, "evidence": evidence}
    run.write_findings([{**finding, "advice": []}])

    front, body = card_of(run, tmp_path, licence="mit")
    assert front["library_name"] == "duel"
    own = re.sub(r"```.*?```", "", body, flags=re.DOTALL).replace(
        "![Samples of seed 0, not chosen](samples.png)", ""
    )
    for meant in (
        "<",
        "http://",
        "www.",
        "![",
        "*bold*",
        "~no~",
        "$x$",
        "@ada",
        "\x1b",
        "\u202e",
        "# heading",
    ):
        assert meant not in own, meant
    columns = {line.count("|") for line in own.splitlines() if line.startswith("|")}
    assert columns == {3, 8}
    assert escaped(text) in own


# ---------------------------------------------------------------- names, rights, networks


@pytest.mark.parametrize(
    "name",
    ["digits", "a/b/c", "/b", "a/", "a b/c", "a/../b", "a--b/c", "a/b.git", "-a/b", "a/b@", "a/b@../x",
     "a/b\n",
     "a/" + "b" * 100, "ä/b", "hub:x", "a/b@-x"],
)  # fmt: skip
def test_a_name_that_is_none_is_refused_before_anything(name, trained, hub):
    with pytest.raises(InputError, match="names no re"):
        hubs.push(trained("dcgan"), name)
    with pytest.raises(InputError, match="names no re"):
        package.load(f"hub:{name}")
    assert not hub.asked


@pytest.mark.parametrize("licence", ["MIT", "", "a\nb: c", "<b>"])
def test_a_licence_that_is_none_is_refused(trained, tmp_path, licence):
    with pytest.raises(InputError, match="is no licence as the Hub names them"):
        hubs.write(trained("dcgan"), tmp_path / "model", "ada/model", licence=licence)


def test_a_model_is_not_pushed_to_a_revision(trained, hub):
    with pytest.raises(InputError, match="leave out the @"):
        hubs.push(trained("dcgan"), "ada/model@old")


def test_nobody_logged_in_is_told_how(trained, hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        InputError, match="needs an account of the Hub: log in with `hf auth login`, or set HF_TOKEN"
    ):
        hubs.push(trained("dcgan"), "ada/model")
    assert not hub.asked


def test_the_login_command_is_the_librarys():
    commands = Path(library.__file__).parent / "cli" / "auth.py"
    assert '"login"' in commands.read_text()


@pytest.mark.parametrize(
    ("token", "said"), [("hf_reader", "forbids this for ada/model"), ("x", "does not know who you are")]
)
def test_who_may_not_write_is_told(trained, hub, monkeypatch, token, said):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(InputError, match=said):
        hubs.push(trained("dcgan"), "ada/model")
    assert not hub.repositories


def test_what_is_not_there_is_said(trained, hub):
    with pytest.raises(InputError, match=rf"{hub.url} has no model ada/nothing that you may see"):
        package.load("hub:ada/nothing")
    hubs.push(trained("dcgan"), "ada/model")
    with pytest.raises(InputError, match="ada/model has no revision 'v9'"):
        package.load("hub:ada/model@v9")
    hub.publish("ada/other", {"README.md": b"text"})
    with pytest.raises(InputError, match=r"hub:ada/other is no model of duel: it has no config\.json"):
        package.load("hub:ada/other")


def test_a_hub_that_fails_is_said(trained, hub):
    hub.broken = True
    with pytest.raises(DuelError, match=r"hub:ada/model failed at .*the server is upset.*: try again"):
        package.load("hub:ada/model")


def test_without_a_network_it_is_one_sentence_at_once(trained, hub, monkeypatch):
    def unreachable(address, timeout):
        raise OSError("Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    for act in (lambda: package.load("hub:ada/model"), lambda: hubs.push(trained("dcgan"), "ada/model")):
        with pytest.raises(
            DuelError, match=r"needs the network, and 127\.0\.0\.1 cannot be reached \(Name or"
        ):
            act()
    assert not hub.asked


def test_without_its_library_the_error_names_the_extra(trained, hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for act in (lambda: package.load("hub:ada/model"), lambda: hubs.push(trained("dcgan"), "ada/model")):
        with pytest.raises(
            InputError, match=r"huggingface_hub, which is not installed .*pip install 'duel\[hub\]'"
        ):
            act()


# ---------------------------------------------------------------- strangers


def test_code_from_outside_runs_only_when_it_is_allowed(trained, hub, tmp_path, monkeypatch):
    marker = tmp_path / "ran"
    source = Path(package.__file__).parent / "objectives" / "non_saturating.py"
    (tmp_path / "evil.py").write_text(source.read_text() + f"\nopen({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    name = forged(
        hub,
        trained("dcgan"),
        recipe__toml=lambda text: text.replace(b'"non-saturating"', b'"evil:NonSaturating"'),
    )
    with pytest.raises(
        RecipeError, match=r"objective.name is 'evil:NonSaturating', which would run code from outside"
    ):
        package.load(name)
    assert not marker.exists()
    run = package.load(name, allow_code=True)
    assert marker.exists()
    assert run.sample(2).shape == (2, 1, 8, 8)
    with pytest.raises(RecipeError, match="would run code from outside"):
        package.load(name).sample(2)


def test_only_known_files_are_fetched(trained, hub):
    name = forged(hub, trained("dcgan"), pytorch_model__bin=b"pickle", setup__py=b"boom", events__jsonl=b"{}")
    path = package.load(name).path
    fetched = {path.rpartition("/")[2] for method, path, _ in hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "recipe.toml", "model.safetensors"}
    assert sorted(each.name for each in path.iterdir()) == [
        "checkpoints", "provenance.json", "recipe.toml", "run.json",
    ]  # fmt: skip


def test_files_that_are_too_large_are_not_fetched(trained, hub):
    name = forged(hub, trained("dcgan"))
    hub.sizes["model.safetensors"] = 9 << 30
    with pytest.raises(
        InputError, match=r"model.safetensors of .* has 9,663,676,416 bytes, at most 8,589,934,592"
    ):
        package.load(name)
    hub.sizes["model.safetensors"] = 100  # a lie
    hub.publish("eve/model", {**hub.files("eve/model"), "recipe.toml": b"#" * 300_000})
    hub.sizes["recipe.toml"] = 100
    with pytest.raises(InputError, match=r"recipe.toml of hub:eve/model is larger than announced"):
        package.load(name)
    assert not any("/resolve/" in path and "model.safetensors" in path for _, path, _ in hub.asked[:-8])


def grown(factor):
    return lambda text: re.sub(rb"(?m)^width = \d+", b"width = %d" % factor, text)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe__toml": grown(10**9)}, "does not fit its recipe"),
        ({"recipe__toml": grown(10**12)}, "does not fit its recipe"),
        ({"recipe__toml": grown(8)}, r"has the shape \(.*\), not \(.*\)\): they are of two models"),
        ({"recipe__toml": lambda text: text.replace(b"size = 5", b"size = 1" + 11 * b"0")}, "does not fit"),
        ({"recipe__toml": lambda text: text.replace(b'"dcgan"\ninit', b'"dense"\ninit')}, "problems"),
        ({"recipe__toml": b"name = ["}, "is not valid TOML"),
        ({"recipe__toml": b"a = " + b"[" * 5000}, "is not valid TOML"),
        ({"recipe__toml": b'seed = "x"'}, "problems"),
        ({"model__safetensors": b""}, "model.safetensors of .* cannot be read"),
        ({"model__safetensors": lambda content: content[:-4]}, "model.safetensors of .* cannot be read"),
        ({"model__safetensors": b"\x80\x04pickle"}, "model.safetensors of .* cannot be read"),
        ({"config__json": b"[" * 100_000}, "config.json of .* is not as `duel push` writes it"),
        ({"config__json": b"\xff\xfe"}, "config.json of .* is not as `duel push` writes it"),
        ({"config__json": edited(shape=[1, 8])}, "shape is .1, 8., which does not go with kind"),
        ({"config__json": edited(shape=[10**9, 8, 8])}, "shape.0: "),
        ({"config__json": edited(shape=[1, 65536, 65536])}, "dcgan|does not fit"),
        ({"config__json": edited(kind="points", shape=[2])}, "makes images and these data are points"),
        ({"config__json": edited(class_counts=[-1] * 10)}, "class_counts.0: "),
        ({"config__json": edited(class_counts=[0] * 10)}, "class_counts are not one number for each class"),
        ({"config__json": edited(scale="1; import os")}, "scale: "),
        ({"config__json": edited(checkpoint="../../x")}, "checkpoint: "),
        ({"config__json": edited(format=2)}, "format: "),
        ({"config__json": edited(provenance={"seed": {}})}, r"provenance\.seed: "),
    ],
    ids=range(23),
)  # fmt: skip
def test_what_is_damaged_or_forged_is_one_sentence_and_leaves_nothing(trained, hub, changes, said, own_cache):
    name = forged(hub, trained("dcgan"), **changes)
    with pytest.raises((CheckpointError, RecipeError), match=said):
        package.load(name)
    left = [each for each in own_cache.rglob("*") if each.is_file() and "hub-models" in str(each)]
    assert left == []


def test_a_recipe_of_endless_networks_ends_with_the_files_tensors(trained, hub):
    with package.train(
        "r3gan", data="digits", out=trained("dcgan").path.parent / "r3gan", steps=1,
        changes={**SMALL, "network.width": 4, "network.group_size": 2},
    ) as session:  # fmt: skip
        list(session)
    name = forged(
        hub,
        session.run,
        recipe__toml=lambda text: re.sub(rb"(?m)^blocks = \d+", b"blocks = 1000000000", text),
    )
    with pytest.raises(CheckpointError, match="the recipe's networks have more tensors than the file"):
        package.load(name)


def test_tensors_of_another_type_are_refused(trained, hub):
    import torch
    from safetensors.torch import load, save

    def doubled(content):
        return save(
            {name: value.to(torch.complex64) for name, value in load(content).items()}, {"format": "pt"}
        )

    name = forged(hub, trained("dcgan"), model__safetensors=doubled)
    with pytest.raises(CheckpointError, match=r"has the type torch.complex64, not torch\."):
        package.load(name)


def test_forged_evaluations_and_findings_are_left_out(copied, hub):
    run = copied("dcgan")
    true = json.dumps({"step": 3, **evaluation(run)}).encode()
    lines = [b"[" * 9999, b"{}", b'{"step": 3, "metrics": 5}', true, true.replace(b"12.5", b'"x"')]
    forged_findings = json.dumps({"format": 1, "findings": [{"name": 5}, "x"]}).encode()
    name = forged(hub, run, metrics__jsonl=b"\n".join(lines), findings__json=forged_findings)
    back = package.load(name)
    assert [each["provenance"]["seed"] for each in back.metrics()] == [4]
    assert back.findings() == []


# ---------------------------------------------------------------- the command line


def test_the_commands_publish_fetch_and_use(trained, hub, command, tmp_path):
    path = trained("cgan").path
    status, out, err = command("push", path, "ada/model", "--private", "--license", "mit")
    assert (status, err) == (0, "")
    assert re.fullmatch(rf"{hub.url}/ada/model/commit/[0-9a-f]+: 5 files, .* MB, private\n", out)
    assert b"license: mit" in hub.files("ada/model")["README.md"]

    assert command("sample", "hub:ada/model", "--n", 20, "--out", "theirs.png")[0] == 0
    assert command("sample", path, "--n", 20, "--out", "ours.png")[0] == 0
    assert (tmp_path / "theirs.png").read_bytes() == (tmp_path / "ours.png").read_bytes()
    assert command("export", "hub:ada/model", "--format", "safetensors", "--out", "a.safetensors")[0] == 0
    assert command("export", path, "--format", "safetensors", "--out", "b.safetensors")[0] == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    status, out, err = command(
        "evaluate", "hub:ada/model", "--features", "pixels", "--metrics", "kid", "--samples", 50
    )
    assert (status, err) == (0, "")
    assert "kid" in out

    status, out, _ = command("pull", "ada/model")
    assert (status, out) == (0, "runs/ada--model\n")
    pulled = Run(tmp_path / "runs" / "ada--model")
    assert pulled.sample(3).tobytes() == trained("cgan").sample(3).tobytes()
    assert command("pull", "hub:ada/model", "--out", "runs/ada--model")[0] == 2
    assert command("report", pulled.path)[0] == 0
    assert command("diagnose", pulled.path)[0] == 0
    status, out, err = command("runs")
    assert (status, err) == (0, "")
    assert "ada--model" in out


def test_a_model_is_begun_from_and_not_taken_up(trained, hub, command, tmp_path):
    run = trained("dcgan")
    hubs.push(run, "ada/model")
    settings = [
        part for key, value in {**SMALL, **RUNS["dcgan"][1]}.items() for part in ("--set", f"{key}={value}")
    ]
    status, _, err = command(
        "train", "dcgan", "--init-from", "hub:ada/model", "--out", "new", "--steps", 1, "--quiet", *settings
    )
    assert (status, err) == (0, "")
    assert command("pull", "ada/model", "--out", "old")[0] == 0
    status, _, err = command("train", "--resume", "old", "--steps", 9, "--quiet")
    assert status != 0
    assert err.count("\n") == 1


def test_a_dry_folder_needs_neither_login_nor_network(trained, command, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    status, out, err = command("push", trained("dcgan").path, "ada/model", "--folder", "model")
    assert (status, err) == (0, "")
    assert sorted(out.split()) == sorted(
        f"model/{name}"
        for name in ("README.md", "config.json", "model.safetensors", "recipe.toml", "samples.png")
    )
    assert command("push", trained("dcgan").path, "ada/model", "--folder", "model")[0] == 2


def test_errors_on_the_command_line_are_one_sentence(trained, hub, command):
    for arguments in (
        ("sample", "hub:ada/nothing"), ("pull", "nothing"), ("push", trained("dcgan").path, "nothing"),
        ("push", trained("dcgan").path, "ada/m", "--checkpoint", 9), ("evaluate", "hub:x"),
    ):  # fmt: skip
        status, out, err = command(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("duel: ")
        assert err.count("\n") == 1
