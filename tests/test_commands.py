"""Commands that use a run: sample, encode, reconstruct, interpolate. And walks in latent space."""

import shutil

import numpy as np
import pytest
import tiny
from PIL import Image

import duel as package
from duel import export, latent, pictures
from duel.datasets.digits import Digits
from duel.datasets.ring import Ring
from duel.errors import InputError
from duel.run import Run

SMALL = {"latent.size": 5, "batch_size": 8, "threads": 1, "sample.count": 4, "log.every": 5}
CODES = {**SMALL, "game.name": "bidirectional", "network.name": "bigan-dense", "network.hidden": [12, 10]}
RUNS = {
    "plain": ("dcgan", {**SMALL, "network.width": 4}),
    "labelled": ("dcgan", {**SMALL, "network.width": 4, "game.name": "conditional", "ema.decay": 0.9}),
    "codes": ("gan", {**CODES, "data.name": "digits", "latent.prior": "uniform"}),
    "both": ("gan", {**CODES, "data.name": "digits", "game.conditional": True}),
    "large": ("gan", {**CODES, "data.name": "digits", "data.resolution": 12, "data.fit": "pad"}),
    "dots": ("gan", {**CODES, "data.name": "ring", "data.samples": 400}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the tiny runs, which no test changes."""
    folder = tmp_path_factory.mktemp("runs")
    for name, (recipe, changes) in RUNS.items():
        with package.train(recipe, out=folder / name, steps=6, changes=changes) as session:
            list(session)
    return folder


@pytest.fixture
def command(capsys, monkeypatch, tmp_path, trained):
    """The command line beside links to the runs: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    for name in RUNS:
        (tmp_path / name).symlink_to(trained / name)

    def run(*arguments):
        return tiny.command(capsys, monkeypatch, *arguments)

    return run


def held_out():
    return Digits().load().splits["test"]


def opened(file):
    with Image.open(file) as picture:
        return np.asarray(picture)


def tiles(file, columns, side):
    """The images N×side×side of a sheet, from one pixel of each enlarged one."""
    sheet = opened(file)
    factor = max(1, -(-48 // side))
    step = side * factor + 2
    assert sheet.shape[1] == columns * step + 2
    rows = sheet.shape[0] // step
    starts = [(2 + y * step, 2 + x * step) for y in range(rows) for x in range(columns)]
    return np.array([sheet[y : y + step - 2 : factor, x : x + step - 2 : factor] for y, x in starts])


def rounded(images):
    return np.rint(images[:, 0] * 255).astype(np.uint8)


# ---------------------------------------------------------------- sample


def test_the_sheet_of_a_conditional_run_has_a_row_for_each_class(command, trained):
    assert command("sample", "labelled", "--n", 30, "--seed", 4) == (0, "sample.png\n", "")
    run = Run(trained / "labelled")
    shown = tiles("sample.png", 3, 8)
    expected = run.generate(run.latent(30, 4), label=np.arange(10).repeat(3))
    np.testing.assert_array_equal(shown, rounded(expected))


@pytest.mark.parametrize("label", ["3", "7"])
def test_with_a_label_all_are_of_that_class(command, trained, label):
    command("sample", "labelled", "--n", 4, "--label", label)
    run = Run(trained / "labelled")
    np.testing.assert_array_equal(tiles("sample.png", 2, 8), rounded(run.sample(4, label=label)))
    command("sample", "labelled", "--n", 4, "--label", label, "--out", "a.npz")
    assert np.load("a.npz")["labels"].tolist() == [int(label)] * 4


def test_arrays_hold_the_labels(command, trained):
    assert command("sample", "labelled", "--n", 300, "--seed", 2, "--out", "a.npz")[0] == 0
    run, stored = Run(trained / "labelled"), np.load("a.npz")
    assert sorted(stored) == ["labels", "samples"]
    np.testing.assert_array_equal(stored["samples"], run.sample(300, 2))
    again = run.generate(run.latent(300, 2), label=stored["labels"])
    np.testing.assert_array_equal(stored["samples"], again)
    assert set(stored["labels"]) == set(range(10))
    assert command("sample", "plain", "--out", "b.npz")[0] == 0
    assert sorted(np.load("b.npz")) == ["samples"]


def test_a_folder_has_sub_folders_that_an_evaluation_takes_for_labels(command, trained):
    assert command("sample", "labelled", "--n", 60, "--out", "made")[0] == 0
    run = Run(trained / "labelled")
    images, labels = rounded(run.sample(60)), run.labels(60)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        np.testing.assert_array_equal(opened(f"made/{label}/{number:05d}.png"), image)
    result = package.evaluate("made", "digits", metrics=["label-accuracy"])
    assert result["metrics"]["label-accuracy"]["n_fake"] == 60
    assert result["provenance"]["weights"] is None


def test_weights_are_the_averaged_ones_unless_asked_otherwise(command, trained):
    run = Run(trained / "labelled")
    for weights in ("ema", "raw"):
        command("sample", "labelled", "--n", 3, "--weights", weights, "--out", f"{weights}.npz")
        np.testing.assert_array_equal(np.load(f"{weights}.npz")["samples"], run.sample(3, weights=weights))
    assert not np.array_equal(np.load("ema.npz")["samples"], np.load("raw.npz")["samples"])
    command("interpolate", "labelled", "--n", 2, "--weights", "raw", "--out", "raw.png")
    command("interpolate", "labelled", "--n", 2, "--out", "ema.png")
    assert not np.array_equal(opened("raw.png"), opened("ema.png"))


def test_folders_for_classes_are_safe_and_distinct():
    classes = ("T-shirt/top", "T-shirt:top", "Bag", "bag", "..", "", "a.", "Ж é", "x" * 300)
    assert export.class_folders(classes) == [
        "T-shirt-top", "T-shirt-top-2", "Bag", "bag-2", "_", "_-2", "a", "Ж é", "x" * 60,
    ]  # fmt: skip
    assert export.class_folders(["0", "1"]) == ["0", "1"]


# ---------------------------------------------------------------- encode


def test_codes_are_what_the_encoder_says(command, trained):
    assert command("encode", "codes", "--out", "z.npz", "--hidden") == (0, "z.npz\n", "")
    stored, run, split = np.load("z.npz"), Run(trained / "codes"), held_out()
    assert sorted(stored) == ["classes", "hidden", "labels", "latent"]
    np.testing.assert_array_equal(stored["latent"], run.encode(split.samples))
    np.testing.assert_allclose(
        stored["latent"], run.encode(split.samples / np.float32(255)), rtol=0, atol=1e-5
    )
    np.testing.assert_array_equal(stored["hidden"], run.encode(split.samples, hidden=True))
    np.testing.assert_array_equal(stored["labels"], split.labels)
    assert stored["classes"].tolist() == [str(digit) for digit in range(10)]
    assert stored["hidden"].shape[1] == 10


def test_the_runs_own_data_keep_its_options(command, trained):
    """Padding, not resizing; another data set is resized."""
    run = Run(trained / "large")
    for arguments in ((), ("digits",)):
        assert command("encode", "large", *arguments, "--split", "validation")[0] == 0
        padded = Digits(resolution=12, fit="pad").load().splits["validation"].samples
        np.testing.assert_array_equal(np.load("latent.npz")["latent"], run.encode(padded))


def test_a_folder_is_brought_to_the_runs_resolution_and_channels(command, trained, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        place = tmp_path / "shells" / ("cone" if number % 2 else "snail")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 16, 3), np.uint8)).save(place / f"{number}.png")
    assert command("encode", "codes", "shells", "--split", "train", "--out", "z.npz")[0] == 0
    from duel.datasets.folder import Folder

    split = Folder(path=str(tmp_path / "shells"), resolution=8).load().splits["train"]
    grey = [[np.asarray(Image.fromarray(np.moveaxis(image, 0, -1)).convert("L"))] for image in split.samples]
    stored = np.load("z.npz")
    np.testing.assert_array_equal(stored["latent"], Run(trained / "codes").encode(np.array(grey)))
    assert stored["classes"].tolist() == ["cone", "snail"]
    np.testing.assert_array_equal(stored["labels"], split.labels)


def test_points_are_encoded_in_the_scale_of_the_run(command, trained):
    run, ring = Run(trained / "dots"), Ring(samples=400).load()
    assert command("encode", "dots")[0] == 0
    own = ring.splits["test"].samples * np.float32(ring.spec.scale)
    np.testing.assert_allclose(np.load("latent.npz")["latent"], run.encode(own), rtol=0, atol=1e-6)
    assert command("encode", "dots", "grid", "--out", "grid.npz")[0] == 0
    from duel.datasets.grid import Grid

    grid = Grid().load()
    other = grid.splits["test"].samples * np.float32(grid.spec.scale)
    np.testing.assert_allclose(np.load("grid.npz")["latent"], run.encode(other), rtol=0, atol=1e-5)


def test_grey_and_colour_become_each_other_as_pillow_does_it():
    colours = np.random.default_rng(1).integers(0, 256, (3, 3, 7, 5), np.uint8)
    grey = export.to_channels(colours, 1)
    for image, plane in zip(colours, grey, strict=True):
        np.testing.assert_array_equal(
            np.asarray(Image.fromarray(np.moveaxis(image, 0, -1)).convert("L")), plane[0]
        )
    np.testing.assert_array_equal(export.to_channels(grey, 3)[:, 2], grey[:, 0])
    assert export.to_channels(grey, 1) is grey


# ---------------------------------------------------------------- reconstruct


def pairs(file, count, side=8):
    """(left, right) images of a sheet of reconstructions: pairs are glued, enlarged to 48 pixels each."""
    sheet, columns = opened(file), int(np.ceil(np.sqrt(count / 2)))
    assert sheet.shape[1] == columns * (96 + 2) + 2
    assert sheet.shape[0] == -(-count // columns) * (48 + 2) + 2
    places = [(2 + i // columns * 50, 2 + i % columns * 98) for i in range(count)]
    left, right = (
        np.array(
            [sheet[y : y + 48, x + shift : x + shift + 48][:: 48 // side, :: 48 // side] for y, x in places]
        )
        for shift in (0, 48)
    )
    return left, right


def test_pairs_are_the_data_and_what_comes_back(command, trained):
    assert command("reconstruct", "codes", "--n", 9) == (0, "reconstruction.png\n", "")
    run, samples = Run(trained / "codes"), held_out().samples
    chosen = samples[np.linspace(0, len(samples) - 1, 9).round().astype(int)]
    left, right = pairs("reconstruction.png", 9)
    np.testing.assert_array_equal(left, chosen[:, 0])
    np.testing.assert_array_equal(right, rounded(run.generate(run.encode(chosen))))


def test_image_files_are_decoded_cut_and_made_grey(command, trained, tmp_path):
    Image.new("RGB", (30, 20), (255, 0, 0)).save("red.png")
    Image.new("L", (9, 9), 200).save("grey.jpg")
    assert command("reconstruct", "codes", "red.png", "grey.jpg", "--out", "b/c.png")[0] == 0
    run, (left, right) = Run(trained / "codes"), pairs("b/c.png", 2)
    assert (left[0] == 76).all()
    assert abs(left[1].astype(int) - 200).max() <= 1
    np.testing.assert_array_equal(right, rounded(run.generate(run.encode(left[:, None]))))


def test_a_conditional_run_reconstructs_with_the_labels_of_the_data(command, trained):
    run, split = Run(trained / "both"), held_out()
    rows = np.linspace(0, len(split) - 1, 8).round().astype(int)
    vectors = run.encode(split.samples[rows])
    assert command("reconstruct", "both", "digits", "--n", 8)[0] == 0
    with_labels = rounded(run.generate(vectors, label=split.labels[rows]))
    np.testing.assert_array_equal(pairs("reconstruction.png", 8)[1], with_labels)
    assert command("reconstruct", "both", "--n", 8, "--label", 5)[0] == 0
    np.testing.assert_array_equal(
        pairs("reconstruction.png", 8)[1], rounded(run.generate(vectors, label="5"))
    )


# ---------------------------------------------------------------- interpolate


def test_a_row_is_a_walk(command, trained):
    assert command("interpolate", "plain", "--n", 3, "--steps", 4, "--seed", 6) == (0, "walk.png\n", "")
    run = Run(trained / "plain")
    ends = run.latent(6, 6)
    walks = latent.spherical(ends[:3], ends[3:], 4)
    np.testing.assert_array_equal(tiles("walk.png", 4, 8), rounded(run.generate(walks.reshape(12, -1))))
    command("interpolate", "plain", "--n", 3, "--steps", 4, "--seed", 6, "--path", "linear")
    straight = latent.linear(ends[:3], ends[3:], 4)
    np.testing.assert_array_equal(tiles("walk.png", 4, 8), rounded(run.generate(straight.reshape(12, -1))))


def test_the_walk_is_straight_for_uniform_latent_vectors(command, trained):
    command("interpolate", "codes", "--n", 2, "--steps", 3)
    run = Run(trained / "codes")
    ends = run.latent(4)
    assert np.abs(ends).max() <= 1
    straight = latent.linear(ends[:2], ends[2:], 3)
    np.testing.assert_array_equal(tiles("walk.png", 3, 8), rounded(run.generate(straight.reshape(6, -1))))


def test_a_gif_goes_there_and_back(command, trained):
    assert command("interpolate", "plain", "--n", 4, "--steps", 5, "--out", "walk.gif")[0] == 0
    with Image.open("walk.gif") as picture:
        assert picture.n_frames == 8
        assert picture.info["loop"] == 0
        assert picture.size == (2 * 50 + 2, 2 * 50 + 2)
        frames = []
        for number in range(8):
            picture.seek(number)
            frames.append(np.asarray(picture.convert("L")))
            assert (
                picture.info["duration"] == 120
            )  # two equal frames would be stored as one, shown twice as long
    run = Run(trained / "plain")
    ends = run.latent(8)
    walks = latent.spherical(ends[:4], ends[4:], 5)
    for frame, step in zip(frames, (0, 1, 2, 3, 4, 3, 2, 1), strict=True):
        expected = pictures.grid(rounded(run.generate(walks[:, step]))[:, None])
        np.testing.assert_array_equal(frame, np.asarray(expected))


def test_with_labels_each_row_shows_every_class(command, trained):
    assert command("interpolate", "labelled", "--labels", "--n", 3)[0] == 0
    run = Run(trained / "labelled")
    expected = run.generate(run.latent(3).repeat(10, axis=0), label=np.tile(np.arange(10), 3))
    np.testing.assert_array_equal(tiles("walk.png", 10, 8), rounded(expected))


def test_without_labels_the_rows_of_a_conditional_run_go_through_its_classes(command, trained):
    command("interpolate", "labelled", "--n", 12, "--steps", 2)
    run = Run(trained / "labelled")
    ends = run.latent(24)
    walks = latent.spherical(ends[:12], ends[12:], 2).reshape(24, -1)
    expected = run.generate(walks, label=(np.arange(12) % 10).repeat(2))
    np.testing.assert_array_equal(tiles("walk.png", 2, 8), rounded(expected))


# ---------------------------------------------------------------- what does not apply

WRONG = {
    "label of a plain run": (["sample", "plain", "--label", "3"], "is not conditional"),
    "no such class": (["sample", "labelled", "--label", "11"], "there is no class '11'"),
    "nothing to sample": (["sample", "labelled", "--n", "0"], "0 samples were asked for"),
    "label of a plain folder": (["sample", "plain", "--label", "3", "--out", "f"], "is not conditional"),
    "weights": (["sample", "plain", "--weights", "mean"], "'mean'"),
    "sheet of another kind": (["sample", "plain", "--out", "a.gif"], "write FILE.png, FILE.npz or a folder"),
    "a folder as file": (["sample", "plain", "--out", "d.png"], "d.png is a folder"),
    "no encoder to encode": (["encode", "plain"], "has no encoder"),
    "no encoder to reconstruct": (["reconstruct", "labelled"], "has no encoder"),
    "codes of another kind": (["encode", "codes", "--out", "z.csv"], "write FILE.npz"),
    "points for images": (["encode", "codes", "ring"], "takes samples of shape 1×8×8, ring has 2"),
    "images for points": (["encode", "dots", "digits"], "takes samples of shape 2, digits has 1×8×8"),
    "unknown data": (["encode", "codes", "digitz"], "did you mean 'digits'"),
    "unknown split": (["encode", "codes", "--split", "tset"], "'tset'"),
    "checkpoint": (["encode", "codes", "--checkpoint", "9"], "no checkpoint 9"),
    "reconstructed points": (["reconstruct", "dots"], "makes points"),
    "reconstruction as gif": (["reconstruct", "codes", "--out", "a.gif"], "write FILE.png"),
    "no image": (["reconstruct", "codes", "text.png"], "text.png cannot be used (no image of a known type"),
    "missing image": (["reconstruct", "codes", "grey.png", "gone.png"], "gone.png is no image file"),
    "file without label": (["reconstruct", "both", "grey.png"], "give --label"),
    "label of plain codes": (["reconstruct", "codes", "--label", "3"], "is not conditional"),
    "other classes": (["reconstruct", "both", "shells"], "have no labels of its classes"),
    "no images": (["reconstruct", "codes", "--n", "0"], "0 images were asked for"),
    "walks of points": (["interpolate", "dots"], "makes points"),
    "labels of a plain run": (["interpolate", "plain", "--labels"], "is not conditional"),
    "labels and steps": (["interpolate", "labelled", "--labels", "--steps", "3"], "leave --steps"),
    "one step": (["interpolate", "plain", "--steps", "1"], "allowed are integers from 2"),
    "no step": (["interpolate", "plain", "--steps", "0"], "allowed are integers from 2"),
    "no rows": (["interpolate", "plain", "--n", "0"], "0 rows were asked for"),
    "too many": (["interpolate", "plain", "--n", "999", "--steps", "99"], "at most 4,096"),
    "path": (["interpolate", "plain", "--path", "round"], "'round'"),
    "walk as array": (["interpolate", "plain", "--out", "a.npz"], "write FILE.png or FILE.gif"),
    "no run": (["interpolate", "shells"], "is not a run"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_apply_is_one_sentence_and_leaves_nothing(command, tmp_path, case):
    (tmp_path / "d.png").mkdir()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "shells").mkdir()
    Image.new("L", (9, 9), 90).save(tmp_path / "grey.png")
    for number in range(30):
        Image.new("L", (9, 9), 5 * number).save(tmp_path / "shells" / f"{number}.png")
    before = sorted(tmp_path.rglob("*"))
    arguments, expected = WRONG[case]
    status, out, err = command(*arguments)
    assert (status, out) == (2, ""), err
    assert expected in err
    assert err.startswith("duel: ")
    assert err.count("\n") == 1, err
    assert sorted(tmp_path.rglob("*")) == before


def test_what_was_there_stays_when_writing_fails(command, monkeypatch, tmp_path):
    (tmp_path / "walk.png").write_bytes(b"old")

    def fail(*arguments):
        raise OSError(28, "No space left on device", "walk.png")

    monkeypatch.setattr("os.replace", fail)
    assert command("interpolate", "plain", "--n", 1)[0] == 1
    assert (tmp_path / "walk.png").read_bytes() == b"old"
    assert not list(tmp_path.glob(".*part"))


def test_debug_shows_the_traceback(command):
    from duel.errors import RunError

    for arguments in (("encode", "plain"), ("reconstruct", "plain"), ("interpolate", "plain", "--labels")):
        with pytest.raises(RunError):
            command(*arguments, "--debug")


# ---------------------------------------------------------------- latent vectors


def normal(count, size=7, seed=0):
    return np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)


@pytest.mark.parametrize("way", [latent.linear, latent.spherical])
def test_walks_begin_and_end_where_they_should(way):
    a, b = normal(4), normal(4, seed=1)
    walk = way(a, b, 6)
    assert (walk.shape, walk.dtype) == ((4, 6, 7), np.float32)
    np.testing.assert_allclose(walk[:, 0], a, atol=1e-6)
    np.testing.assert_allclose(walk[:, -1], b, atol=1e-6)


def test_the_straight_way_has_equal_steps():
    walk = latent.linear(normal(3), normal(3, seed=1), 5)
    np.testing.assert_allclose(np.diff(walk, axis=1), np.diff(walk, axis=1)[:, :1].repeat(4, 1), atol=1e-6)


def test_the_arc_keeps_length_and_turns_evenly():
    a = np.array([[2.0, 0, 0]])
    walk = latent.spherical(a, np.array([[0, 2.0, 0]]), 4)[0]
    angles = np.deg2rad([0, 30, 60, 90])
    np.testing.assert_allclose(walk, 2 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1), atol=1e-6)
    wide = normal(20, 200)
    norms = np.linalg.norm(latent.spherical(wide[:10], wide[10:], 9), axis=2)
    assert norms.min() > 0.85 * np.sqrt(200)
    assert np.linalg.norm(latent.linear(wide[:10], wide[10:], 9), axis=2).min() < 0.8 * np.sqrt(200)


@pytest.mark.parametrize("factor", [1, 3, -1, 0, 1 + 1e-7])
def test_the_arc_between_parallel_vectors_is_straight(factor):
    a = normal(2)
    np.testing.assert_allclose(latent.spherical(a, factor * a, 5), latent.linear(a, factor * a, 5), atol=1e-6)


def test_nearly_parallel_vectors_are_near_the_limit():
    a, other = normal(2).astype(np.float64), normal(2, seed=1)
    for far in (1e-3, 1e-5, 1e-7, 1e-9):
        b = a + far * other
        np.testing.assert_allclose(latent.spherical(a, b, 5), latent.linear(a, b, 5), atol=1e-5)


def test_arithmetic_is_that_of_the_means():
    woman, smile, man = normal(3), normal(2, seed=1), normal(4, seed=2)
    result = latent.arithmetic(smile, plus=man, minus=woman)
    assert (result.shape, result.dtype) == ((1, 7), np.float32)
    np.testing.assert_allclose(result[0], smile.mean(0) + man.mean(0) - woman.mean(0), atol=1e-6)
    np.testing.assert_allclose(latent.arithmetic(smile)[0], smile.mean(0), atol=1e-6)
    np.testing.assert_allclose(latent.arithmetic(smile[0], man[0])[0], smile[0] + man[0], atol=1e-6)
    np.testing.assert_allclose(latent.arithmetic(smile, man, man)[0], smile.mean(0), atol=1e-6)


def test_latent_vectors_of_other_shapes_are_refused():
    for wrong in (
        lambda: latent.linear(normal(2), normal(3), 4),
        lambda: latent.spherical(normal(2)[0], normal(2)[0], 4),
        lambda: latent.linear(normal(2), normal(2), 1),
        lambda: latent.arithmetic(normal(2), plus=normal(2, 5)),
        lambda: latent.arithmetic(normal(2)[None]),
        lambda: latent.arithmetic(normal(0)),
    ):
        with pytest.raises(InputError, match="allowed are"):
            wrong()


def test_the_example_of_the_docstring_runs(trained, tmp_path):
    path = shutil.copytree(trained / "plain", tmp_path / "faces")
    run = package.load(path)
    z = run.latent(64, seed=1)
    np.testing.assert_array_equal(run.generate(z), run.sample(64, seed=1))
    smiling = latent.arithmetic(z[[3, 17, 40]], plus=z[[8, 21, 33]], minus=z[[5, 9, 12]])
    assert run.generate(latent.spherical(z[:1], smiling, 8)[0]).shape == (8, 1, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--n", 10**12, "--out", "a.png"), "at most 4,096"),
        (("--n", 10**12, "--out", "a.npz"), "GB: ask for fewer"),
        (("--n", 4, "--out", "file/a.png"), "--out file/a.png cannot be written"),
    ],
)
def test_what_cannot_be_drawn_or_written_is_said_in_one_sentence(command, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    status, _, said = command("sample", "plain", *arguments)
    assert status == 2
    assert message in said
    assert said.count("\n") == 1
