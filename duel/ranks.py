"""Several processes that train one model: who they are, and what they tell each other.

Each rank draws the whole batch from the same streams and plays its share of it; gradients are averaged before
each update, so that all hold the same weights. Started by `duel train --devices N`, torchrun or SLURM, which
say in the environment who a process is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from duel.errors import RecipeError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.nn import Parameter

    from duel.recipe import Recipe

# Others wait while the first one evaluates.
_PATIENCE = timedelta(hours=24)


@dataclass(frozen=True)
class World:
    """A process among `count`: number `rank`, and `local` on its machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def check(self, recipe: Recipe) -> None:
        """RecipeError for what several processes cannot train."""
        if recipe.batch_size % self.count:
            raise RecipeError(
                f"batch_size is {recipe.batch_size}, which {self.count} processes cannot share: use a "
                f"multiple of {self.count}"
            )
        if self.count > 1 and recipe.engine != "torch":
            raise RecipeError(f"engine={recipe.engine} trains in one process: leave out --devices")

    def share(self, values: np.ndarray, parts: int) -> np.ndarray:
        """This rank's values of a whole update's (N, …), which is cut into so many accumulated parts."""
        if self.count == 1:
            return values
        cut = values.reshape(parts, self.count, -1, *values.shape[1:])
        mine: np.ndarray = cut[:, self.rank].reshape(-1, *values.shape[1:])
        return mine

    def drawing(self, rng: np.random.Generator) -> Any:
        """A generator whose draws are this rank's share of what one process would draw for all samples."""
        return rng if self.count == 1 else _Share(rng, self)

    def average(self, parameters: Iterable[Parameter]) -> None:
        """Replace every gradient by its mean over the ranks, in one message."""
        if self.count == 1:
            return
        import torch
        import torch.distributed as dist

        gradients = [each.grad for each in parameters if each.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        parts = torch.split(flat, [each.numel() for each in gradients])
        for gradient, mean in zip(gradients, parts, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def gathered(self, value: Tensor) -> Tensor:
        """The values (n,) of all ranks as one tensor (count·n,)."""
        if self.count == 1:
            return value
        import torch
        import torch.distributed as dist

        parts = [torch.empty_like(value) for _ in range(self.count)]
        dist.all_gather(parts, value.contiguous())
        return torch.cat(parts)

    def together(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What a step has seen, of all ranks: numbers are averaged, lists (n,) joined; one message."""
        if self.count == 1:
            return dict(seen)
        import torch

        flat = torch.cat([value.reshape(-1).float() for value in seen.values()])
        every = self.gathered(flat).view(self.count, -1)
        parts = torch.split(every, [value.numel() for value in seen.values()], dim=1)
        return {
            name: part.mean() if value.dim() == 0 else part.reshape(-1)
            for (name, value), part in zip(seen.items(), parts, strict=True)
        }

    def leave(self) -> None:
        """Say goodbye; without it a process may be aborted as it ends."""
        if self.count > 1:
            import torch.distributed as dist

            if dist.is_initialized():
                dist.destroy_process_group()

    def any(self, flag: bool) -> bool:
        """Whether any rank says so."""
        if self.count == 1:
            return flag
        import torch
        import torch.distributed as dist

        value = torch.tensor(int(flag))
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())

    def told(self, text: str) -> str:
        """What the first rank says; the others' text does not matter."""
        if self.count == 1:
            return text
        import torch
        import torch.distributed as dist

        content = text.encode()
        size = torch.tensor(len(content))
        dist.broadcast(size, 0)
        sent = torch.zeros(int(size.item()), dtype=torch.uint8)
        if self.first:
            sent = torch.tensor(list(content), dtype=torch.uint8)
        dist.broadcast(sent, 0)
        return bytes(sent.tolist()).decode()


ALONE = World()
_NAMES = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}


def world() -> World:
    """Who this process is, by its environment (RANK, WORLD_SIZE, LOCAL_RANK)."""
    return World(*(int(os.environ.get(name, default)) for name, default in _NAMES.items()))


def joined() -> World:
    """The same, having met the other ranks; afterwards "cuda" is this rank's own device."""
    found = world()
    if found.count == 1:
        return found
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        return found
    # Weights and gradients travel on the device, flags and names over the host: those never make it wait.
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(found.local)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=_PATIENCE)
    return found


class _Share:
    """NumPy's generator, seen by one rank: draws for everybody's samples, gives this rank's."""

    def __init__(self, rng: np.random.Generator, world: World) -> None:
        self._rng, self._world = rng, world

    def random(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """As `numpy.random.Generator.random`; the first axis counts samples."""
        drawn = self._rng.random((shape[0] * self._world.count, *shape[1:]), dtype)
        return self._world.share(drawn, 1)
