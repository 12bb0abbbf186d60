"""The quality tables of MNIST and CIFAR-10 at budgets for a GPU, meant for ten minutes a run or less.

As bench/quality.py (rows over seeds, resumable), with wider networks, more updates and bfloat16. How long a
run takes on which card is not measured yet: each row says it.

    DUEL_DATA=… python bench/gpu_quality.py mnist-gpu cifar10-gpu --out docs/evidence/gpu --workers 1

On a CPU it only shows that it runs: add --steps 2 --samples 200 --only DCGAN.
"""

import os

from quality import HOECKLER_WGAN, LABELLED, Row, Table, main

GPU = {"precision": "bfloat16", "ema.decay": 0.999, "checkpoint.every": 2000}
NEAREST = {"network.upscale": "nearest"}
LAZY = {"penalties.r1.every": 4, "penalties.r2.every": 4}
RESNET = {
    "network.name": "resnet",
    "network.discriminator_norm": "spectral",
    "network.generator_width": 128,
    "network.discriminator_width": 128,
}

TABLES = {
    "mnist-gpu": Table(
        "mnist",
        20_000,
        (
            Row("GAN, Adam", "gan"),
            Row("DCGAN", "dcgan"),
            Row("CGAN", "cgan", {}, LABELLED),
            Row("WGAN, Hoeckler's best values", "wgan", HOECKLER_WGAN),
            Row("WGAN-GP", "wgan-gp"),
            Row("SNGAN", "sngan"),
            Row("R3GAN", "r3gan", {"network.width": 128, **LAZY}),
        ),
        GPU,
    ),
    "cifar10-gpu": Table(
        "cifar10",
        40_000,
        (
            Row("DCGAN", "dcgan"),
            Row("DCGAN, nearest", "dcgan", NEAREST),
            Row("CGAN", "cgan", {}, LABELLED),
            Row("WGAN-GP", "wgan-gp"),
            Row("SNGAN", "sngan"),
            Row("SNGAN, ResNet", "sngan", RESNET),
            Row("R3GAN", "r3gan", {"network.width": 128, **LAZY}),
        ),
        GPU,
    ),
}  # fmt: skip

if __name__ == "__main__":
    main(TABLES, __doc__ or "", os.cpu_count() or 1)
