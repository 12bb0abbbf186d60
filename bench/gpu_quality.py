"""The quality table of CIFAR-10 and MNIST at budgets for a GPU: one command, under ten minutes a recipe.

As bench/quality.py (rows over seeds, resumable), with wider networks, more updates and bfloat16.

    DUEL_DATA=… python bench/gpu_quality.py mnist-gpu --out docs/evidence/gpu --workers 1
    DUEL_DATA=… python bench/gpu_quality.py cifar10-gpu --out docs/evidence/gpu --workers 1

On a CPU it only shows that it runs: add --steps 2 --samples 200 --only DCGAN.
"""

from quality import LABELLED, Row, Table, main

GPU = {"precision": "bfloat16", "ema.decay": 0.999, "checkpoint.every": 2000}
NEAREST = {"network.upscale": "nearest"}
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
            Row("WGAN, Hoeckler's best values", "wgan", {"n_critic": 1, "constraints.clip.limit": 0.99}),
            Row("WGAN-GP", "wgan-gp"),
            Row("SNGAN", "sngan"),
            Row("R3GAN", "r3gan", {"network.width": 128}),
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
            Row("R3GAN", "r3gan", {"network.width": 256}),
        ),
        GPU,
    ),
}  # fmt: skip

if __name__ == "__main__":
    main(TABLES, __doc__ or "")
