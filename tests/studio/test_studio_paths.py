"""Nothing outside the studio's folder can be read, whichever parameter asks for it."""

import io
import json
import shutil
from urllib.parse import quote

import numpy as np
import pytest
from conftest_studio import client_of
from PIL import Image

from duel.studio import form, paths

WAYS_OUT = [
    "..", "../outside", "../../etc", "/etc", "//etc", "0001-plain/../../outside", "0001-plain/..", ".",
    "./0001-plain", "", " ", ".studio", "0001-plain/.lock", "0001-plain/checkpoints/../../0001-plain", "~",
    "..\\outside", "0001-plain\\..\\..\\outside", "..%2foutside", "%2e%2e/outside", "\x00", "0001-plain\x00",
    "a" * 5000, "a/" * 400, "linked", "nothing",
]  # fmt: skip


@pytest.fixture(scope="module")
def walled(made, tmp_path_factory):
    """Runs beside which there is one that must not be seen, with links that lead to it."""
    root = tmp_path_factory.mktemp("walled") / "runs"
    outside = root.parent / "outside"
    for name in ("0001-plain", "0002-plain"):
        shutil.copytree(made / name, root / name)
    shutil.copytree(root / "0001-plain", outside)
    (outside / "recipe.toml").write_text((outside / "recipe.toml").read_text().replace("dcgan", "SECRET", 1))
    (root / "linked").symlink_to(outside)
    inner = root / "0009-inner"
    shutil.copytree(root / "0001-plain", inner)
    (inner / "events.jsonl").unlink()
    (inner / "events.jsonl").symlink_to(outside / "recipe.toml")
    grid = root / "0002-plain" / "samples" / "00000006.png"
    grid.unlink()
    grid.symlink_to(outside / "recipe.toml")
    (root / "photos" / "deep").mkdir(parents=True)
    (root / "photos" / "deep" / "a.png").symlink_to(outside / "film.png")
    return root


@pytest.mark.parametrize("name", WAYS_OUT)
def test_no_name_leads_out(walled, name):
    with pytest.raises(paths.NotHere):
        paths.run_at(walled, name)
    with pytest.raises(paths.NotHere):
        paths.images_at(walled, name)
    with pytest.raises(paths.NotHere):
        paths.study_at(walled, name)


@pytest.mark.parametrize("name", WAYS_OUT)
def test_no_address_leads_out(walled, name):
    client = client_of(walled)
    for raw in (name, quote(name, safe=""), quote(quote(name, safe=""), safe="")):
        for rest in ("overview", "events", "picture/film.png", "grid/6.png", "report.html",
                     "explore/images.png?n=1", "explore/directions"):  # fmt: skip
            status, body = client.raw(f"/api/runs/{raw}/{rest}")
            assert status in (400, 404, 405), (raw, rest)
            assert b"SECRET" not in body
        for path in (f"/api/data/{raw}/portrait", f"/api/data/{raw}/portrait.png", f"/api/data/{raw}/check",
                     f"/api/studies/{raw}/overview", f"/assets/{raw}"):  # fmt: skip
            assert client.raw(path)[0] in (400, 404, 405), path


@pytest.mark.parametrize("name", WAYS_OUT)
def test_no_body_leads_out(walled, name):
    client = client_of(walled)
    for path, body in (
        ("/api/form", {"source": f"run:{name}", "changes": []}),
        ("/api/form", {"source": name, "changes": []}),
        ("/api/form", {"source": "dcgan", "changes": [f"data={name}"]}),
        ("/api/form", {"source": "dcgan", "changes": ["data.name=folder", f"data.path={name}"]}),
        (
            "/api/form",
            {"source": "dcgan", "changes": [f'data={{name = "folder", path = {json.dumps(name)}}}']},
        ),
        ("/api/jobs", {"source": "dcgan", "changes": [f"data={name}"]}),
        ("/api/jobs/forget", {"name": name}),
        ("/api/compare", {"runs": [name]}),
        ("/api/judge", {"run": name, "person": "me"}),
        ("/api/advise", {"data": name}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code in (400, 404), (path, body, answer.text)
        assert b"SECRET" not in answer.content
        assert b"root:" not in answer.content


@pytest.mark.parametrize(
    "place", ["0001-plain/samples/../../../x", "last/../..", "-1", "1e3", "٣", "9" * 40, "x"]
)
def test_checkpoints_grids_and_pictures_have_names_of_their_own(reader, place):
    assert reader.get(f"/api/runs/0001-plain/grid/{quote(place, safe='')}.png").status_code in (400, 404)
    assert reader.get(f"/api/runs/0001-plain/picture/{quote(place, safe='')}.png").status_code in (400, 404)
    for what in ("images.png?n=1&", "directions?", "walk.gif?n=2&", "vectors.npz?n=1&", "vector?n=1&"):
        answer = reader.get(f"/api/runs/0001-plain/explore/{what}checkpoint={quote(place)}")
        assert answer.status_code == 400


@pytest.mark.parametrize("number", ["..", "../../x", "0" * 15, "g" * 16, "0" * 16, "0" * 17])
def test_tests_and_games_have_names_of_their_own(reader, number):
    raw = quote(number, safe="")
    for path in (f"/api/judge/{raw}", f"/api/judge/{raw}/0.png", f"/api/playground/{raw}"):
        assert reader.get(path).status_code == 404
    assert reader.post(f"/api/judge/{raw}", json={"place": 0, "real": True, "seconds": 1}).status_code == 404
    assert reader.post(f"/api/playground/{raw}", json={"steps": 1}).status_code == 404


def test_runs_with_links_in_them_are_not_there(walled):
    client = client_of(walled)
    names = [run["name"] for run in client.get("/api/runs").json()["runs"]]
    assert "linked" not in names
    assert "0009-inner" not in names
    assert client.get("/api/runs/0009-inner/events").status_code == 404


def test_a_picture_that_is_a_link_is_not_shown(walled):
    assert client_of(walled).get("/api/runs/0001-plain/grid/6.png").status_code == 200
    assert client_of(walled).get("/api/runs/0002-plain/grid/6.png").status_code == 404


def test_a_folder_of_images_with_a_link_in_it_is_refused(walled):
    client = client_of(walled)
    assert client.get("/api/data/photos/check").status_code == 404
    assert client.post("/api/form", json={"source": "dcgan", "changes": ["data=photos"]}).status_code == 404


@pytest.mark.parametrize(
    "change",
    ["objective=os:system", "objective.name=os:system", "network.name=os:system", "penalties=os:system",
     'penalties=[{name = "os:system"}]', "data.name=os:system", "data=hf:a/b", "data.name=hf",
     "data=shards:/etc/x", 'data={name = "shards", pattern = "/x"}', "data.name=folder",
     "evaluate.features=os:system",
     'evaluate.metrics=["os:system"]', "optimizer.generator=os:system"],
)  # fmt: skip
def test_a_form_runs_no_code_from_outside(root, change):
    with pytest.raises(form.InputError):
        form.resolved(root, "dcgan", [change])


def test_a_run_that_names_a_folder_elsewhere_shows_nothing_of_it(root, tmp_path):
    """Its real images, its neighbours and its advice are of the data it was trained on, or there are none."""
    secret = tmp_path / "secret"
    secret.mkdir()
    for number in range(30):
        pixels = np.full((8, 8), number * 8, np.uint8)
        Image.fromarray(pixels).save(secret / f"{number}.png")
    for name in ("0001-plain", "0004-codes"):
        recipe = root / name / "recipe.toml"
        before, _, after = recipe.read_text().partition("[data]")
        rest = after[after.index("\n[") :]
        there = f'[data]\nname = "folder"\npath = "{secret}"\nresolution = 8\n'
        recipe.write_text(before + there + rest)
    client = client_of(root)
    judged = client.post("/api/judge", json={"run": "0001-plain", "person": "me", "count": 4})
    assert judged.status_code == 400
    assert "not those that it was trained on" in judged.json()["error"]
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    encoded = client.post("/api/runs/0004-codes/explore/encode", content=buffer.getvalue()).json()
    assert encoded["near"] == []
    assert "not those" in encoded["note"]
    advised = client.post("/api/runs/0001-plain/advised", json={"finding": "x", "set": {}})
    assert "not those" in advised.json()["error"]
    assert client.post("/api/form", json={"source": "run:0001-plain", "changes": []}).status_code == 404


def test_neither_does_a_run_that_is_started_again(root):
    recipe = root / "0001-plain" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('name = "non-saturating"', 'name = "os:system"'))
    with pytest.raises(form.InputError):
        form.resolved(root, "run:0001-plain", [])
