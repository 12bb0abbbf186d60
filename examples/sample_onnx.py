"""Sample a generator that `duel export` wrote, with onnxruntime, NumPy and Pillow alone.

python examples/sample_onnx.py MODEL.onnx [--n 16] [--seed 0] [--label CLASS] [--out grid.png]
"""

import argparse
import json
import math

import numpy as np
import onnxruntime
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description="Sample a generator that `duel export` wrote.")
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument("--n", type=int, default=16, help="how many images")
    parser.add_argument("--seed", type=int, default=0, help="of the latent vectors")
    parser.add_argument("--label", help="one class by name or number; by default all classes in turn")
    parser.add_argument("--out", default="grid.png")
    given = parser.parse_args()

    session = onnxruntime.InferenceSession(given.model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    if about.get("duel.network") != "generator" or about["duel.kind"] != "image":
        parser.error(f"{given.model} is no generator of images from `duel export`")

    inputs = {"latent": latent(about, given.n, given.seed)}
    if json.loads(about["duel.conditional"]):
        inputs["label"] = labels(json.loads(about["duel.classes"]), given.n, given.label)
    (images,) = session.run(["image"], inputs)

    pixels = np.rint((images + 1) * 127.5).clip(0, 255).astype(np.uint8)
    grid(pixels).save(given.out)
    print(given.out)


def latent(about: dict[str, str], n: int, seed: int) -> np.ndarray:
    """n latent vectors from the distribution that the generator was trained with."""
    rng, size = np.random.default_rng(seed), int(about["duel.latent_size"])
    if about["duel.latent_prior"] == "uniform":
        return rng.uniform(-1, 1, (n, size)).astype(np.float32)
    return rng.standard_normal((n, size), np.float32)


def labels(classes: list[str], n: int, wanted: str | None) -> np.ndarray:
    """The number of one class (by name, else by number) n times, or all classes in turn."""
    if wanted is None:
        return np.arange(n, dtype=np.int64) % len(classes)
    numbers = {name: number for number, name in enumerate(classes)}
    numbers |= {str(number): number for number in range(len(classes)) if str(number) not in numbers}
    if wanted not in numbers:
        raise SystemExit(f"there is no class {wanted!r}, the model has: {', '.join(classes)}, or 0, 1, …")
    return np.full(n, numbers[wanted], np.int64)


def grid(pixels: np.ndarray) -> Image.Image:
    """Images N×C×H×W (uint8, C 1 or 3) on one square sheet, black where there are none."""
    n, channels, height, width = pixels.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * columns, channels, height, width), np.uint8)
    sheet[:n] = pixels
    tiled = sheet.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    whole = tiled.reshape(rows * height, columns * width, channels)
    return Image.fromarray(whole[..., 0] if channels == 1 else whole)


if __name__ == "__main__":
    main()
