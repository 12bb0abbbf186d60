"""What leaves a run for other programs: ONNX graphs, safetensors, folders of images."""

import copy
import json
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

import duel as package
from duel import catalog, export
from duel.errors import CheckpointError, DuelError, InputError, RecipeError, RunError
from duel.export import graph
from duel.run import Run
from duel.sampling import generate

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ROOT = Path(__file__).parents[1]
SMALL = {"latent.size": 5, "batch_size": 8, "threads": 1, "sample.count": 4, "log.every": 5}
# signals keep their size through the layers, so hardly trained networks have outputs to compare
WIDE = {"network.init_conv": "orthogonal"}
SIZES = {
    "dcgan": {"network.width": 4, **WIDE},
    "r3gan": {"network.width": 4},
    "resnet": {"network.generator_width": 4, "network.discriminator_width": 4},
    "bigan": {"network.width": 2, **WIDE},
    "bigan-dense": {"network.hidden": [12, 10], "network.init_linear": "orthogonal"},
    "dense": {"network.generator_hidden": [16], "network.discriminator_hidden": [16]},
}
CODES = {"game.name": "bidirectional", "network.name": "bigan-dense", **SIZES["bigan-dense"]}
JUDGED = ["acgan", "k+1", "sngan", "bigan", "codes with labels", "projection", "points"]
OTHERS = {
    "scratch": ("gan", {"engine": "scratch", "ema.decay": 0.5}),
    "rational": ("gan", {"network.activation": "rational-tanh", "network.output": "rational-tanh"}),
    "spectral": ("dcgan", {"network.generator_norm": "spectral", "network.upscale": "bilinear"}),
    "layer": ("dcgan", {"network.generator_norm": "layer", "network.upscale": "nearest"}),
    "projection": ("cgan", {"network.condition": "projection"}),
    "residual": ("cgan", {"network.name": "resnet", **SIZES["resnet"]}),
    "r3gan with labels": ("r3gan", {"game.name": "conditional"}),
    "codes with labels": ("gan", {**CODES, "game.conditional": True, "ema.decay": 0.5}),
    "k+1": ("acgan", {"game.form": "k+1"}),
    "points": ("gan", {"data.name": "ring", "data.samples": 400}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Tiny runs by the name of a recipe, or of one of `OTHERS`; made on first use, changed by no test."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(name):
        if name not in made:
            recipe, changes = OTHERS.get(name, (name, {}))
            data = None if "data.name" in changes else "digits"
            network = package.recipe.read(recipe)["network"]["name"]
            sizes = {} if "network.name" in changes else SIZES[network]
            small = {**SMALL, **sizes, **changes}
            with package.train(recipe, data=data, out=folder / name, steps=3, changes=small) as session:
                list(session)
            made[name] = folder / name
        return Run(made[name])

    return run


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """The command line in an empty folder: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: tiny.command(capsys, monkeypatch, *arguments)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """Such a run's generator as ONNX, of those in `JUDGED` all networks; made once, changed by no test."""
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def file(name):
        if name not in made:
            run = trained(name)
            others = [network for network in run.networks().named() if network != "generator"]
            also = others if name in JUDGED else []
            made[name] = export.write_onnx(run, folder / name / "model.onnx", also=also)
        return made[name]

    return file


def session_of(file):
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def metadata(file):
    return dict(session_of(file).get_modelmeta().custom_metadata_map)


def assert_same(found, wanted):
    """To 1e-4, and to 1e-4 of what there is to see: barely trained networks have small outputs."""
    assert found.shape == wanted.shape
    assert found.dtype == np.float32
    largest = np.abs(wanted).max()
    assert largest > 0
    assert np.abs(found - wanted).max() <= 1e-4 * min(1, largest)


# ---------------------------------------------------------------- every recipe


@pytest.mark.parametrize("name", [*catalog.recipes(), *OTHERS])
def test_every_recipe_samples_alike_through_onnxruntime_and_from_safetensors(
    name, trained, exported, tmp_path
):
    run, written = trained(name), exported(name)[0]
    assert written.difference <= 1e-4
    kept, session = run.networks().named(), session_of(written.file)
    assert [each.name for each in session.get_inputs()] == ["latent"] + ["label"] * run.conditional
    for n in (1, 2, 33):
        inputs = {"latent": run.latent(n, 5)}
        if run.conditional:
            inputs["label"] = np.arange(n, dtype=np.int64)[::-1] % 10
        (found,) = session.run(None, inputs)
        assert_same(found, generate(kept["generator"], *inputs.values()))

    also = [network for network in kept if network != "generator"]
    file = export.write_safetensors(run, tmp_path / "model.safetensors", also=also).file
    loaded, about = export.load_safetensors(file)
    assert list(loaded) == list(kept)
    for network, module in loaded.items():
        state = module.state_dict()
        for key, value in kept[network].state_dict().items():
            assert value.dtype == state[key].dtype, key
            assert value.numpy().tobytes() == state[key].numpy().tobytes(), key
    assert {**about, "duel.network": "generator"} == {**metadata(written.file), "format": "pt"}


@pytest.mark.parametrize("name", JUDGED)
def test_the_other_networks_judge_and_encode_alike(name, trained, exported):
    import torch

    run, files = trained(name), {each.what: each.file for each in exported(name)}
    networks, game = run.networks(), run.recipe.game
    assert list(files) == list(networks.named())
    rng = np.random.default_rng(0)
    sample = rng.uniform(-1, 1, (9, *run.spec.shape)).astype(np.float32)
    given = {"image" if run.spec.kind == "image" else "points": sample}
    tuples = [torch.from_numpy(sample)]
    if networks.encoder:
        given["latent"] = run.latent(9)
        tuples.append(torch.from_numpy(given["latent"]))
    if name in ("codes with labels", "projection"):
        given["label"] = np.arange(9, dtype=np.int64)
        tuples.append(torch.from_numpy(given["label"]))
    session = session_of(files["discriminator"])
    assert [each.name for each in session.get_inputs()] == list(given)
    with torch.inference_mode():
        output = networks.discriminator(*tuples)
        assert_same(session.run(["logit"], given)[0], game.logits(output).numpy())
        if name in ("acgan", "k+1"):
            assert_same(session.run(["class_logits"], given)[0], output[:, 1:].numpy())
        if networks.encoder:
            session = session_of(files["encoder"])
            assert_same(session.run(["latent"], {"image": sample})[0], networks.encoder(tuples[0]).numpy())


# ---------------------------------------------------------------- what the files say and do not say


def test_the_metadata_are_what_a_stranger_needs(trained, exported):
    run, files = trained("codes with labels"), exported("codes with labels")
    known = metadata(files[0].file)
    assert known["duel.version"] == package.__version__
    assert (known["duel.recipe"], known["duel.network"]) == ("gan", "generator")
    assert json.loads(known["duel.classes"]) == list("0123456789")
    assert json.loads(known["duel.shape"]) == [1, 8, 8]
    assert (known["duel.latent_size"], known["duel.latent_prior"]) == ("5", "normal")
    assert "round((image + 1) * 127.5)" in known["duel.normalisation"]
    assert known["duel.data_fingerprint"] == run.provenance["data"]["fingerprint"]
    assert (known["duel.checkpoint"], known["duel.weights"]) == ("3", "ema")
    for each in files:
        assert metadata(each.file) == {**known, "duel.network": each.what}


def test_nothing_of_this_machine_is_in_the_files_and_they_are_the_same_each_time(trained, exported, tmp_path):
    run, first = trained("projection"), exported("projection")
    again = export.write_onnx(run, tmp_path / "a.onnx", also=["discriminator"])
    tensors = [export.write_safetensors(run, tmp_path / f"{name}.safetensors") for name in "ab"]
    pairs = [*zip(first, again, strict=True), tensors]
    for one, other in pairs:
        content = one.file.read_bytes()
        assert content == other.file.read_bytes()
        for betraying in (str(ROOT), "site-packages", ".py", str(Path.home())):
            assert betraying.encode() not in content


def test_weights_are_the_averaged_ones_unless_asked_otherwise(trained, exported, tmp_path):
    run = trained("scratch")
    (raw,) = export.write_onnx(run, tmp_path / "raw.onnx", weights="raw")
    latent, found = run.latent(4), {}
    for weights, file in (("ema", exported("scratch")[0].file), ("raw", raw.file)):
        (found[weights],) = session_of(file).run(None, {"latent": latent})
        assert metadata(file)["duel.weights"] == weights
        assert_same(found[weights], generate(run.networks("last", weights).generator, latent))
    assert np.abs(found["ema"] - found["raw"]).max() > 2e-4


# ---------------------------------------------------------------- what is refused


def shifted(ported):
    """The same port of a network that is a little different."""
    import torch

    module = copy.deepcopy(ported.module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.2)
    return replace(ported, module=module)


def test_a_graph_that_differs_is_refused_and_nothing_is_left(trained, command, monkeypatch, tmp_path):
    run = trained("bigan-dense")
    true = graph.to_onnx
    monkeypatch.setattr(
        graph, "to_onnx", lambda p, m: true(shifted(p) if m["duel.network"] == "encoder" else p, m)
    )
    status, out, err = command("export", run.path, "--out", "model.onnx", "--with", "encoder")
    assert (status, out) == (1, "")
    assert re.match(r"duel: the encoder as ONNX differs from the checkpoint by .*, allowed is 1e-04: ", err)
    assert not list(tmp_path.iterdir())


def test_a_network_that_is_no_number_is_refused(trained, tmp_path):
    import torch

    run = trained("dcgan")
    networks = run.networks()
    with torch.no_grad():
        next(networks.generator.parameters()).fill_(float("nan"))
    run.networks = lambda *_: networks
    with pytest.raises(DuelError, match="differs from the checkpoint by nan"):
        export.write_onnx(run, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_without_its_packages_the_error_names_the_extra(trained, command, monkeypatch, missing):
    run = trained("dcgan")
    monkeypatch.setitem(sys.modules, missing, None)
    status, _, err = command("export", run.path)
    assert status == 2
    assert f"ONNX needs {missing}, which is not installed: pip install 'duel[export]'" in err
    assert command("export", run.path, "--format", "safetensors")[0] == 0


def test_what_torch_cannot_write_is_one_sentence(trained, monkeypatch, tmp_path):
    import torch

    def fails(*arguments, **options):
        raise torch.onnx.OnnxExporterError("step 1/3\nmore") from ValueError("no such operator\nmore")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(DuelError, match=r"cannot write this network as ONNX \(no such operator\): use"):
        export.write_onnx(trained("dcgan"), tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--with", "decoder"], "--with was given 'decoder': did you mean 'encoder'?"),
        (["--with", "encoder"], "has no encoder"),
        (["--out", "model.safetensors"], "write FILE.onnx"),
        (["--format", "safetensors", "--out", "model.onnx"], "write FILE.safetensors"),
        (["--format", "images", "--out", "a.png"], "images go into a folder"),
        (["--format", "images", "--with", "discriminator"], "leave it out"),
        (["--n", "4"], "--n and --seed are of images, the format is onnx: leave them out"),
        (["--checkpoint", "7"], "has no checkpoint 7"),
    ],
)
def test_what_does_not_apply_is_refused(trained, command, tmp_path, options, said):
    status, out, err = command("export", trained("dcgan").path, *options)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_label_that_is_no_class_is_refused_by_the_graph(trained, exported):
    inputs = {"latent": trained("cgan").latent(1), "label": np.array([10], np.int64)}
    with pytest.raises(Exception, match="out of data bounds"):
        session_of(exported("cgan")[0].file).run(None, inputs)


# ---------------------------------------------------------------- safetensors


def test_a_file_that_is_not_ours_or_not_whole_is_refused(trained, tmp_path):
    from safetensors.numpy import save_file

    file = export.write_safetensors(trained("dcgan"), tmp_path / "model.safetensors").file
    content = file.read_bytes()
    save_file({"generator.0": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(content[:-4])
    (tmp_path / "text.safetensors").write_text("no tensors")
    (tmp_path / "wide.safetensors").write_bytes(content.replace(rb"\"width\": 4", rb"\"width\": 3"))
    for name in ("other", "cut", "text", "wide"):
        with pytest.raises(CheckpointError, match="is not a whole file of `duel export"):
            export.load_safetensors(tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"nothing\.safetensors cannot be read"):
        export.load_safetensors(tmp_path / "nothing.safetensors")


def test_a_file_cannot_name_code(trained, tmp_path):
    file = export.write_safetensors(trained("dcgan"), tmp_path / "model.safetensors").file
    file.write_bytes(file.read_bytes().replace(rb"\"name\": \"dcgan\"", rb"\"name\": \"os:pa\""))
    with pytest.raises(RecipeError, match="allow"):
        export.load_safetensors(file)


def test_a_loaded_generator_samples_without_the_run(trained, tmp_path):
    run = trained("r3gan")
    file = export.write_safetensors(run, tmp_path / "model.safetensors").file
    (generator,) = export.load_safetensors(file)[0].values()
    found = generate(generator, run.latent(4))
    np.testing.assert_array_equal(found, next(run.stream(4))[0])
    assert not generator.training


# ---------------------------------------------------------------- the command


def test_the_command_says_what_it_wrote(trained, command):
    status, out, err = command("export", trained("scratch").path, "--with", "discriminator")
    assert (status, err) == (0, "")
    lines = [re.sub(r"\d\.\de-\d\d", "NUMBER", line) for line in out.splitlines()]
    assert lines == [
        "model.onnx: generator, at most NUMBER from the checkpoint",
        "model-discriminator.onnx: discriminator, at most NUMBER from the checkpoint",
    ]
    both = ("--format", "safetensors", "--with", "encoder,discriminator")
    said = "model.safetensors: generator, discriminator, encoder\n"
    assert command("export", trained("bigan-dense").path, *both) == (0, said, "")


def test_images_are_those_of_sample_in_class_folders(trained, command):
    run = trained("cgan")
    assert command("export", run.path, "--format", "images", "--n", 12, "--seed", 3) == (
        0,
        "images: 12 images\n",
        "",
    )
    command("sample", run.path, "--n", 12, "--seed", 3, "--out", "sampled")
    found = {file.relative_to("images"): file.read_bytes() for file in Path("images").rglob("*.png")}
    assert len(found) == 12
    assert {str(file.parent) for file in found} == {str(label) for label in run.labels(12, 3)}
    sampled = {file.relative_to("sampled"): file.read_bytes() for file in Path("sampled").rglob("*.png")}
    assert found == sampled
    status, _, err = command("export", run.path, "--format", "images")
    assert status == 2
    assert "holds other files" in err


# ---------------------------------------------------------------- the examples and the page


@pytest.mark.parametrize("name", ["projection", "bigan-dense"])
def test_the_example_samples_without_torch_and_duel(name, trained, exported, monkeypatch, tmp_path, capsys):
    run = trained(name)
    latent = (
        np.random.default_rng(7).uniform(-1, 1, (16, 5)).astype(np.float32)
        if name == "bigan-dense"
        else np.random.default_rng(7).standard_normal((16, 5), np.float32)
    )
    wanted = run.generate(latent, label=np.arange(16) % 10 if run.conditional else None)
    script = str(ROOT / "examples" / "sample_onnx.py")

    def example(*arguments):
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        with monkeypatch.context() as without:
            for module in [each for each in sys.modules if each.partition(".")[0] in ("torch", "duel")]:
                without.setitem(sys.modules, module, None)
            runpy.run_path(script, run_name="__main__")

    example(exported(name)[0].file, "--seed", 7, "--out", tmp_path / "grid.png")
    assert capsys.readouterr().out == f"{tmp_path / 'grid.png'}\n"
    with Image.open(tmp_path / "grid.png") as picture:
        grid = np.asarray(picture).astype(int)
    expected = np.rint(wanted[:, 0] * 255).reshape(4, 4, 8, 8).transpose(0, 2, 1, 3).reshape(32, 32)
    assert np.abs(grid - expected).max() <= 1  # a value between two levels may fall to either
    assert grid.std() > 0
    with pytest.raises(SystemExit):
        example(exported("projection")[1].file)
    assert "is no generator of images" in capsys.readouterr().err


def test_the_web_page_loads_one_library_and_nothing_else():
    page = (ROOT / "examples" / "onnx-web" / "index.html").read_text()
    live = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    assert "://" not in live
    assert not re.search(r"<(link|img|iframe|script[^>]+src)", live)
    assert live.count("script.src = ") == 1
    assert 'LIBRARY = "ort/ort.wasm.min.js"' in live


@pytest.mark.parametrize("example", ["onnx-web/index.html", "sample_onnx.py"])
def test_the_examples_ask_for_metadata_that_there_are(example, exported):
    asked = set(re.findall(r'"(duel\.[a-z_]+)"', (ROOT / "examples" / example).read_text()))
    assert {"duel.network", "duel.latent_prior"} <= asked <= set(metadata(exported("cgan")[0].file))


# ---------------------------------------------------------------- the document


PAGE = (ROOT / "docs" / "export.md").read_text()


def test_the_documents_commands_and_python_run(trained, command, monkeypatch, tmp_path):
    for name in ("cgan", "bigan"):
        (tmp_path / "runs").mkdir(exist_ok=True)
        (tmp_path / "runs" / name).symlink_to(trained(name).path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    ran = 0
    for kind, block in re.findall(r"```(sh|python)\n(.*?)```", PAGE, re.DOTALL):
        if kind == "python":
            (tmp_path / "snippet.py").write_text(block)
            runpy.run_path(str(tmp_path / "snippet.py"))
            ran += 1
            continue
        for line in block.splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["duel"]:
                assert command(*words[1:])[0] == 0, line
                ran += 1
            elif words[:1] == ["python"]:
                monkeypatch.setattr(sys, "argv", words[1:])
                runpy.run_path(words[1], run_name="__main__")
                ran += 1
    assert ran >= 8


def test_every_key_of_the_metadata_is_in_the_document(exported):
    for key in metadata(exported("dcgan")[0].file):
        assert f"`{key}`" in PAGE, key


def test_an_encoder_is_asked_of_a_run_that_has_one(trained, tmp_path):
    with pytest.raises(RunError, match="has no encoder"):
        export.write_safetensors(trained("dcgan"), tmp_path / "model.safetensors", also=["encoder"])
