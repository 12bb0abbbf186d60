"""Latent space: what is asked for by an address, made by the run's own generator."""

import io

import numpy as np
import pytest
from PIL import Image

import duel
from duel import latent, pictures
from duel.errors import InputError
from duel.studio import explore
from duel.studio.explore import Explorer
from duel.studio.points import View, write, written


@pytest.fixture(scope="module")
def look(made):
    return Explorer(duel.load(made / "0001-plain"))


@pytest.fixture(scope="module")
def codes(made):
    return Explorer(duel.load(made / "0004-codes"))


def test_images_are_those_of_the_run(look):
    wanted = pictures.to_uint8(look.run.sample(5, seed=3) * 2 - 1)
    assert np.abs(look.images(look.run.latent(5, 3)).astype(int) - wanted).max() <= 1


def test_a_class_is_chosen(made):
    labelled = Explorer(duel.load(made / "0003-labels"))
    z = labelled.run.latent(2, 0)
    wanted = pictures.to_uint8(labelled.run.generate(z, label=7) * 2 - 1)
    assert np.abs(labelled.images(z, 7).astype(int) - wanted).max() <= 1
    for wrong in (-1, 10):
        with pytest.raises(InputError, match="no class"):
            labelled.images(z, wrong)


def test_directions_are_the_principal_components_of_a_linear_first_layer(look):
    """The first layer is linear, so its components, brought back, are its right singular vectors."""
    found = look.directions(count=3)
    layer = explore._first_layer(look._networks.generator)
    matrix = layer.weight.detach().numpy().reshape(look.size, -1)
    _, _, right = np.linalg.svd(matrix.T, full_matrices=False)
    for one, other in zip(found.vectors, right, strict=False):
        assert abs(one @ other) / np.linalg.norm(one) > 0.6  # of 512 vectors, and close singular values
    assert (np.diff(found.shares) <= 0).all()
    assert 0 < found.shares.sum() <= 1
    # one standard deviation of standard normal numbers
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=0.25)


def test_points_are_named_and_written(look):
    named = View(at="s:3:0,s:3:4").vectors(look)
    assert np.array_equal(named, look.run.latent(5, 3)[[0, 4]])
    assert np.array_equal(View(at=write(named[1])).vectors(look)[0], named[1])
    assert np.array_equal(View(seed=2, n=4).vectors(look), look.run.latent(4, 2))


def test_walks_and_sums_are_those_of_duel_latent(look):
    z = look.run.latent(4, 1)
    walk = View(at="s:1:0,s:1:1,s:1:2", steps=5).vectors(look)
    assert len(walk) == 9
    assert np.array_equal(walk[:5], latent.spherical(z[:1], z[1:2], 5)[0])
    assert np.array_equal(walk[4:], latent.spherical(z[1:2], z[2:3], 5)[0])
    straight = View(at="s:1:0,s:1:1", steps=3, way="linear").vectors(look)
    assert np.allclose(straight[1], (z[0] + z[1]) / 2)
    total = View(base="s:1:0,s:1:1", plus="s:1:2", minus="s:1:3").vectors(look)
    assert np.array_equal(total, latent.arithmetic(z[:2], z[2:3], z[3:4]))
    moved = View(at="s:1:0", move="1:2.5,0:-1").vectors(look)
    assert np.allclose(moved - z[:1], 2.5 * look.found.vectors[1] - look.found.vectors[0], atol=1e-6)


@pytest.mark.parametrize(
    "view",
    [{}, {"n": 0}, {"n": 257}, {"n": -1}, {"n": 1, "seed": -1}, {"n": 1, "seed": 2**63}, {"at": "x"},
     {"at": "s:1"},
     {"at": "s:-1:0"}, {"at": "s:1:4096"}, {"at": "s:1:99999"}, {"at": "s:²:0"}, {"at": "v:"},
     {"at": "v:AAAA"},
     {"at": "v:***"}, {"at": ","}, {"at": ",".join(["s:0:0"] * 257)}, {"at": "s:1:0", "steps": 3},
     {"at": "s:1:0,s:1:1", "steps": 1}, {"at": "s:1:0,s:1:1", "steps": 65}, {"at": "s:1:0", "move": "0"},
     {"at": "s:1:0,s:1:1", "steps": 3, "way": "crooked"}, {"at": "s:1:0", "move": "99:1"},
     {"at": "s:1:0", "move": "0:nan"}, {"at": "s:1:0", "move": "0:1e9"}, {"at": "s:1:0", "move": "-1:1"},
     {"at": ",".join(["s:0:0"] * 9), "steps": 64}],
)  # fmt: skip
def test_views_that_are_none_are_refused(look, view):
    with pytest.raises(InputError):
        View(**view).vectors(look)


def test_vectors_that_are_no_numbers_are_refused(look):
    with pytest.raises(InputError, match="none"):
        look.images(written(write(np.full(look.size, np.nan))[2:], look.size))


def test_the_addresses_answer(reader):
    base = "/api/runs/0001-plain/explore"
    sheet = Image.open(io.BytesIO(reader.get(f"{base}/images.png?n=6&columns=3").content))
    assert sheet.size == (24, 16)
    walk = Image.open(io.BytesIO(reader.get(f"{base}/walk.gif?at=s:0:0,s:0:1&steps=4").content))
    assert (walk.format, walk.n_frames) == ("GIF", 6)
    arrays = np.load(io.BytesIO(reader.get(f"{base}/vectors.npz?n=3&seed=5").content), allow_pickle=False)
    assert arrays["latent"].shape == (3, 5)
    assert arrays["samples"].shape == (3, 1, 8, 8)
    assert arrays["samples"].max() <= 1
    assert len(reader.get(f"{base}/directions").json()["shares"]) == 5
    point = reader.get(f"{base}/vector?base=s:0:0&plus=s:0:1").json()["point"]
    assert reader.get(f"{base}/images.png", params={"at": point}).status_code == 200
    assert reader.get("/api/runs/0005-points/explore/images.png?n=9").status_code == 200
    assert reader.get("/api/runs/0005-points/explore/walk.gif?n=9").status_code == 400
    assert reader.get("/api/runs/0003-labels/explore/images.png?n=1&label=12").status_code == 400
    assert reader.get(f"{base}/images.png?n=x").status_code == 400


def test_a_picture_is_kept_by_the_browser_only_where_its_address_says_all_of_it(reader):
    base = "/api/runs/0001-plain/explore/images.png?n=1"
    assert "no-store" in reader.get(base).headers["cache-control"]
    assert "max-age" in reader.get(f"{base}&checkpoint=6").headers["cache-control"]


# ---------------------------------------------------------------- uploads


def png(width=30, height=20):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_own_image_is_encoded_with_its_neighbours(reader, codes):
    answer = reader.post("/api/runs/0004-codes/explore/encode", content=png())
    assert answer.status_code == 200
    found = answer.json()
    z = written(found["point"][2:], codes.size)
    assert np.allclose(z, codes.encode(codes.fitted(png())), atol=1e-5)
    distances = [each["distance"] for each in found["near"]]
    assert len(distances) == 8
    assert distances == sorted(distances)


def test_a_training_image_is_its_own_nearest_neighbour(codes):
    image = codes.run.recipe.data.load().splits["train"].samples[17:18]
    images, _, distances = codes.neighbours(codes.encode(image))
    assert np.array_equal(images[0], image[0])
    assert distances[0] == pytest.approx(0, abs=1e-5)


BOMB = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00"


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"<svg xmlns='http://www.w3.org/2000/svg'/>", png()[:200], BOMB + b"\0" * 40,
     b"GIF89a" + b"\xff" * 99,
     b"%!PS-Adobe-3.0 EPSF", b"PK\x03\x04" + b"\0" * 100, png(1, 1), b"\x80\x04K\x01."],
    ids=["nothing", "x", "svg", "cut", "bomb", "gif", "eps", "zip", "tiny", "pickle"],
)  # fmt: skip
def test_hostile_uploads_are_refused(reader, content):
    answer = reader.post("/api/runs/0004-codes/explore/encode", content=content)
    assert answer.status_code == 400
    assert "image" in answer.json()["error"]


def test_an_image_of_too_many_pixels_is_not_decoded(codes, monkeypatch):
    monkeypatch.setattr(explore, "_MOST_PIXELS", 599)
    with pytest.raises(InputError, match="30×20 pixels"):
        codes.fitted(png())


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK"])
def test_images_of_other_modes_are_taken(codes, mode):
    buffer = io.BytesIO()
    image = Image.effect_noise((40, 30), 60).convert("RGB").convert(mode)
    image.save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    assert codes.fitted(buffer.getvalue()).shape == (1, 1, 8, 8)


def test_runs_without_an_encoder_take_no_images(reader):
    answer = reader.post("/api/runs/0001-plain/explore/encode", content=png())
    assert answer.status_code == 400
    assert "no encoder" in answer.json()["error"]
