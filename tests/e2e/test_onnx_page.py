"""The page that runs an exported generator: its reading of the file, its controls, what it draws.

A stand-in takes onnxruntime-web's place, unless DUEL_ORT names the folder `dist` of that package.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import duel
from duel import export

ROOT = Path(__file__).parents[2]
SITE = "http://page.test"
SMALL = {"latent.size": 20, "batch_size": 8, "threads": 1, "network.width": 4, "sample.count": 4}
# Pixel i of the stand-in's image is latent component i / 4, or the label for the last one.
STAND_IN = """
window.ort = {
  env: { wasm: {} },
  Tensor: class { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } },
  InferenceSession: { create: async () => ({ run: async ({ latent, label }) => {
    const data = Float32Array.from({ length: 64 }, (_, i) => (latent.data[i] ?? 0) / 4);
    if (label) data[63] = Number(label.data[0]) / 10;
    return { image: { dims: [1, 1, 8, 8], data } };
  } }) },
};
"""
SCRIPT = "text/javascript"
TYPES = {".html": "text/html", ".js": SCRIPT, ".mjs": SCRIPT, ".wasm": "application/wasm"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with an exported conditional generator and its run."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("models")
    with duel.train("cgan", data="digits", out=folder / "run", steps=3, changes=SMALL) as session:
        list(session)
    export.write_onnx(duel.load(folder / "run"), folder / "model.onnx", also=["discriminator"])
    (folder / "cut.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-30])
    return folder


@pytest.fixture
def opened(browser, models):
    """Open the page with a model, and wait until it has an answer: (page, addresses it asked for)."""
    context, asked = browser.new_context(), []

    def answer(route):
        path = route.request.url.removeprefix(SITE).partition("?")[0].lstrip("/")
        asked.append(path)
        real = os.environ.get("DUEL_ORT")
        if path == "index.html":
            file = ROOT / "examples" / "onnx-web" / path
        elif path.startswith("ort/") and real:
            file = Path(real) / path.removeprefix("ort/")
        elif path == "ort/ort.wasm.min.js":
            route.fulfill(body=STAND_IN, content_type=SCRIPT)
            return
        else:
            file = models / path
        if file.is_file():
            kind = TYPES.get(file.suffix, "application/octet-stream")
            route.fulfill(body=file.read_bytes(), content_type=kind)
        else:
            route.fulfill(status=404, body="")

    def at(query):
        page = context.new_page()
        page.route("**/*", answer)
        page.goto(f"{SITE}/index.html?{query}")
        page.wait_for_function("!/Loading|Choose/.test(document.getElementById('state').textContent)")
        return page, asked

    yield at
    context.close()


def pixels(page):
    """The canvas's first channel, 8×8."""
    context = "document.getElementById('picture').getContext('2d')"
    found = page.evaluate(f"[...{context}.getImageData(0, 0, 8, 8).data].filter((_, i) => i % 4 === 0)")
    return np.array(found)


def test_sliders_and_classes_change_the_picture(opened, models):
    page, asked = opened("model=model.onnx")
    assert page.inner_text("#state").startswith("Recipe cgan on digits, 8×8 pixels, ")
    assert page.locator("#sliders input").count() == 12
    assert page.locator("#classes option").all_inner_texts() == list("0123456789")
    others = {path for path in asked if not path.startswith("ort/")}
    assert others - {"favicon.ico"} == {"index.html", "model.onnx"}
    before = pixels(page)
    page.locator("#sliders input").first.fill("2.5")
    page.wait_for_function("latent[0] === 2.5 && !waiting")
    moved = pixels(page)
    assert (moved != before).any()
    page.select_option("#classes", label="7")
    page.wait_for_function("!waiting")
    page.evaluate("drawing")
    chosen = pixels(page)
    assert (chosen != moved).any()
    if os.environ.get("DUEL_ORT"):
        latent = np.array(page.evaluate("[...latent]"), np.float32)[None]
        wanted = duel.load(models / "run").generate(latent, label=7)
        assert np.abs(chosen - wanted.ravel() * 255).max() <= 0.51
    page.click("#draw")
    page.evaluate("drawing")
    assert (pixels(page) != chosen).any()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("model=model-discriminator.onnx", "this is no generator of images from `duel export`"),
        ("model=cut.onnx", "this is no whole ONNX file"),
        ("model=index.html", "this is no"),
        ("model=nothing.onnx", "nothing.onnx cannot be loaded (404)"),
        ("model=model.onnx&library=nowhere.js", f"onnxruntime-web is not at {SITE}/nowhere.js"),
    ],
)
def test_what_cannot_be_used_is_said(opened, query, said):
    page, _ = opened(query)
    assert said in page.inner_text("#state")
    assert not page.locator("#controls").is_visible()


def test_the_metadata_that_the_page_reads_are_onnxruntimes(opened, models):
    import onnxruntime

    page, _ = opened("model=model.onnx")
    known = onnxruntime.InferenceSession(models / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(page.evaluate("JSON.stringify(about)")) == dict(known)
