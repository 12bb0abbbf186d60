"""Train a small GAN on the embedded digits from Python and save a few of its samples.

python examples/train_and_sample.py [FOLDER] [STEPS]
"""

import sys

import duel
from duel.export import write_samples


def main(folder: str = "runs/example", steps: str = "300") -> None:
    with duel.train(
        "dcgan", data="digits", out=folder, steps=int(steps), changes={"network.width": 16}
    ) as session:
        for event in session:
            if event["event"] == "step":
                print(
                    f"step {event['step']}: D(x) {event['d_real']:.2f}, D(G(z)) {event['d_fake_after']:.2f}"
                )
    run = duel.load(folder)
    print(run.sample(16, seed=1).shape, write_samples(run, run.path / "sample.png", n=16, seed=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
