"""A discriminator with its game, as one module with named outputs."""

from __future__ import annotations

from torch import Tensor, nn

from duel.games._base import Game


class Judge(nn.Module):
    """The elements of a game's tuple → the logit of being real (N,).

    In games whose discriminator also names the class: (logit, logits of the classes N×K).
    """

    def __init__(self, discriminator: nn.Module, game: Game) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.game = game

    # Not *elements: torch.export would want their axes nested.
    def forward(
        self, sample: Tensor, second: Tensor | None = None, third: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        given = [each for each in (second, third) if each is not None]
        output: Tensor = self.discriminator(sample, *given)
        logit = self.game.logits(output)
        return logit if output.ndim == 1 else (logit, output[:, 1:])
