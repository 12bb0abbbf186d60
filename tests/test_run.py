"""Run folders: what is in them, and sampling from them."""

import json
import tomllib

import numpy as np
import pytest
import tiny
from PIL import Image

import duel
from duel import export, run
from duel.errors import InputError, RecipeError, RunError


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "run"
    tiny.train(path)
    return duel.load(path)


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "run"
    tiny.train(path, recipe="gan", data="ring")
    return duel.load(path)


def test_the_folder_holds_the_files_of_the_contract(images):
    assert {entry.name for entry in images.path.iterdir()} == {
        "recipe.toml", "provenance.json", "run.json", "events.jsonl",
        "samples", "checkpoints", "film.png", "curves.png", ".lock",
    }  # fmt: skip
    assert {entry.name for entry in images.samples_folder.iterdir()} == {
        "real.png", "00000000.png", "00000005.png", "00000010.png",
    }  # fmt: skip
    for name in ("run.json", "provenance.json"):
        assert json.loads((images.path / name).read_text())["format"] == 1
    (digest,) = images.state["recipes"]
    assert len(digest) == 64
    rest = {key: value for key, value in images.state.items() if key != "recipes"}
    assert rest == {"format": 1, "state": "done", "steps": 10, "last": 10, "best": None}
    tomllib.loads((images.path / "recipe.toml").read_text())


def test_every_picture_opens(images, points):
    for each in (images, points):
        for file in each.path.rglob("*.png"):
            with Image.open(file) as picture:
                picture.load()
                assert min(picture.size) > 40


def test_the_provenance_says_what_is_needed_to_repeat_the_run(images):
    it = images.provenance
    assert {"torch", "numpy", "duel", "python"} <= set(it["versions"])
    assert it["seed"] == 0
    assert it["threads"] == 1
    assert len(it["data"]["fingerprint"]) == 64
    assert it["data"]["splits"]["train"] > it["data"]["splits"]["test"] > 0
    assert it["command"]


def test_samples_of_images(images):
    samples = images.sample(6, seed=1)
    assert samples.shape == (6, 1, 8, 8)
    assert samples.dtype == np.float32
    assert 0 <= samples.min() <= samples.max() <= 1
    assert np.array_equal(samples, images.sample(6, seed=1))
    assert not np.allclose(samples, images.sample(6, seed=2))


def test_samples_of_points_are_in_original_units(points):
    samples = points.sample(500)
    assert samples.shape == (500, 2)
    assert samples.dtype == np.float32
    generator = points.networks().generator
    import torch

    from duel import streams

    latent = streams.draw_latent(streams.stream(0, "eval"), 500, 5, "normal")
    with torch.no_grad():
        assert np.allclose(
            samples, generator(torch.from_numpy(latent)).numpy() * points.spec.scale, atol=1e-5
        )


@pytest.mark.parametrize("k", [1, 7, 256, 257, 299])
def test_the_first_samples_of_many_are_those_of_few(images, k):
    assert np.allclose(images.sample(300, seed=4)[:k], images.sample(k, seed=4), atol=1e-5)


def test_an_earlier_checkpoint_can_be_asked_for(images):
    early, late = images.sample(4, checkpoint=5), images.sample(4, checkpoint="last")
    assert not np.array_equal(early, late)
    with pytest.raises(RunError, match=r"no checkpoint 7: allowed are last, best or a step of: 5, 10"):
        images.sample(4, checkpoint=7)
    with pytest.raises(RunError, match="no best checkpoint: it was trained without"):
        images.sample(4, checkpoint="best")


def test_zero_samples_are_refused(images):
    with pytest.raises(RunError, match="0 samples were asked for"):
        images.sample(0)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="is not a run"):
        duel.load(tmp_path)


def test_a_copied_run_can_be_sampled_without_its_data(images, tmp_path):
    import shutil

    copy = shutil.copytree(images.path, tmp_path / "copy")
    assert np.array_equal(duel.load(copy).sample(3), images.sample(3))


def test_code_that_a_runs_recipe_names_is_not_imported(images, tmp_path):
    import shutil

    copy = shutil.copytree(images.path, tmp_path / "copy")
    file = copy / "recipe.toml"
    file.write_text(file.read_text().replace('name = "non-saturating"', 'name = "antigravity:Loss"'))
    with pytest.raises(RecipeError, match="would run code from outside"):
        duel.load(copy).sample(1)


def test_new_folders_are_numbered(tmp_path, images):
    assert run.new_path(tmp_path, images.recipe).name == "0001-dcgan-digits"
    (tmp_path / "0041-other").mkdir()
    assert run.new_path(tmp_path, images.recipe).name == "0042-dcgan-digits"


def test_files_of_samples(images, points, tmp_path):
    export.write_samples(images, tmp_path / "grid.png", 9)
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.mode == "L"
        assert picture.size == (3 * 50 + 2, 3 * 50 + 2)
    export.write_samples(images, tmp_path / "array.npz", 9)
    with np.load(tmp_path / "array.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["samples"], images.sample(9))
    export.write_samples(images, tmp_path / "deep" / "folder", 3)
    files = sorted((tmp_path / "deep" / "folder").iterdir())
    assert [file.name for file in files] == ["00000.png", "00001.png", "00002.png"]
    with Image.open(files[0]) as picture:
        assert np.abs(np.asarray(picture) / 255 - images.sample(3)[0, 0]).max() <= 0.5 / 255 + 1e-6
    export.write_samples(points, tmp_path / "points.png", 50)
    with pytest.raises(InputError, match="no single pictures"):
        export.write_samples(points, tmp_path / "points")
    with pytest.raises(InputError, match=r"write FILE\.png, FILE\.npz or a folder"):
        export.write_samples(images, tmp_path / "file.jpeg")
    assert not (tmp_path / "file.jpeg").exists()


def test_the_public_names_are_functions_whatever_was_imported_before():
    import duel.session
    import duel.train

    assert callable(duel.train)
    assert set(duel.__all__) <= set(dir(duel))
    for name in duel.__all__:
        assert getattr(duel, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = duel.nothing
