"""The loops that duel's step is timed against: the usual one of each kind, and one tuned by hand.

The usual loops are written as the PyTorch DCGAN tutorial and the common implementations of WGAN-GP and BiGAN
are: default memory format, labels as tensors, gradients into the discriminator that nobody uses, fakes drawn
anew for the generator, numbers read at each step. Networks, weights, optimizers and batch are duel's. They
were frozen before anything was tuned.
"""

# mypy: disable-error-code="no-untyped-call"
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from duel import recipe
from duel.datasets._base import Data
from duel.train import start


class Loop:
    """Networks, weights and optimizers of a recipe, and one batch that is ready on the device for nothing."""

    tuned = False

    def __init__(self, it: recipe.Recipe, data: Data) -> None:
        now = start(it, data)
        self.networks, self.device = now.networks, str(it.device)
        layout = torch.channels_last if self.tuned else torch.contiguous_format
        for module in now.networks.named().values():
            module.to(memory_format=layout)  # type: ignore[call-overload]
        self.g, self.d = now.networks.generator, now.networks.discriminator
        self.optimizer_g, self.optimizer_d = now.optimizer_g, now.optimizer_d
        images = data.splits["train"].samples[: it.batch_size]
        batch = torch.from_numpy(np.ascontiguousarray(images)).float() / 127.5 - 1
        self.batch = batch.to(self.device, memory_format=layout)
        self.size, self.latent_size = it.batch_size, it.latent.size
        self.n_critic = it.n_critic if isinstance(it.n_critic, int) else 1
        self.criterion = nn.BCEWithLogitsLoss()

    def latent(self) -> Tensor:
        return torch.randn(self.size, self.latent_size, device=self.device)

    def step(self) -> object:
        """One generator update, with the discriminator's before it."""
        raise NotImplementedError


class Tutorial(Loop):
    """The PyTorch DCGAN tutorial: BCELoss on a sigmoid, label tensors, `.item()` at each step."""

    def step(self) -> object:
        self.d.zero_grad()
        label = torch.full((self.size,), 1.0, device=self.device)
        output = torch.sigmoid(self.d(self.batch)).view(-1)
        loss_real = nn.functional.binary_cross_entropy(output, label)
        loss_real.backward()
        d_real = output.mean().item()
        fake = self.g(self.latent())
        label.fill_(0.0)
        output = torch.sigmoid(self.d(fake.detach())).view(-1)
        loss_fake = nn.functional.binary_cross_entropy(output, label)
        loss_fake.backward()
        d_fake = output.mean().item()
        self.optimizer_d.step()
        self.g.zero_grad()
        label.fill_(1.0)
        output = torch.sigmoid(self.d(fake)).view(-1)
        loss_g = nn.functional.binary_cross_entropy(output, label)
        loss_g.backward()
        after = output.mean().item()
        self.optimizer_g.step()
        return (loss_real + loss_fake).item(), loss_g.item(), d_real, d_fake, after


class UsualWganGp(Loop):
    """WGAN-GP as it is usually written: fakes keep their graph, the generator's are drawn anew."""

    def step(self) -> object:
        for _ in range(self.n_critic):
            self.optimizer_d.zero_grad()
            fake = self.g(self.latent())
            real_score, fake_score = self.d(self.batch), self.d(fake)
            share = torch.rand(self.size, 1, 1, 1, device=self.device)
            between = (share * self.batch + (1 - share) * fake).requires_grad_(True)
            scores = self.d(between)
            (slope,) = torch.autograd.grad(
                scores, between, torch.ones_like(scores), create_graph=True, retain_graph=True
            )
            penalty = ((slope.reshape(self.size, -1).norm(2, dim=1) - 1) ** 2).mean()
            loss_d = -real_score.mean() + fake_score.mean() + 10 * penalty
            loss_d.backward()
            self.optimizer_d.step()
        self.optimizer_g.zero_grad()
        loss_g = -self.d(self.g(self.latent())).mean()
        loss_g.backward()
        self.optimizer_g.step()
        return loss_d.item(), loss_g.item()


class UsualBigan(Loop):
    """BiGAN as it is usually written: all four passes again for the second player."""

    def step(self) -> object:
        encoder = self.networks.encoder
        assert encoder is not None
        ones, zeros = torch.ones(self.size, device=self.device), torch.zeros(self.size, device=self.device)
        z = self.latent()
        self.optimizer_d.zero_grad()
        real = self.d(self.batch, encoder(self.batch).detach()).view(-1)
        fake = self.d(self.g(z).detach(), z).view(-1)
        loss_d = self.criterion(real, ones) + self.criterion(fake, zeros)
        loss_d.backward()
        self.optimizer_d.step()
        self.optimizer_g.zero_grad()
        real = self.d(self.batch, encoder(self.batch)).view(-1)
        fake = self.d(self.g(z), z).view(-1)
        loss_g = self.criterion(real, zeros) + self.criterion(fake, ones)
        loss_g.backward()
        self.optimizer_g.step()
        return loss_d.item(), loss_g.item()


class Tuned(Loop):
    """DCGAN's step tuned by hand, and nothing else: no data, no log, no samples, no checkpoints."""

    tuned = True

    def step(self) -> object:
        fake = self.g(self.latent())
        self.optimizer_d.zero_grad(set_to_none=True)
        (softplus(-self.d(self.batch)).mean() + softplus(self.d(fake.detach())).mean()).backward()
        self.optimizer_d.step()
        self.d.requires_grad_(False)
        self.optimizer_g.zero_grad(set_to_none=True)
        softplus(-self.d(fake)).mean().backward()
        self.optimizer_g.step()
        self.d.requires_grad_(True)
        return None
