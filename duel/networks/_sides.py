"""Which sides of images the architectures reach by doubling."""

from __future__ import annotations

from duel.errors import RecipeError


def seed_side(side: int, network: str = "dcgan") -> tuple[int, int]:
    """(start, doublings) with side = start · 2^doublings and 4 ≤ start ≤ 7.

    RecipeError for any other side, with the nearest that works.
    """
    allowed = sorted(start << k for start in (4, 5, 6, 7) for k in range(1, 6) if 8 <= start << k <= 128)
    if side not in allowed:
        near = min(allowed, key=lambda value: (abs(value - side), -value))
        raise RecipeError(
            f'the network "{network}" cannot make images of {side}×{side} pixels: the side must be 4 to 7 '
            f"times a power of two, from 8 to 128; the nearest is data.resolution={near}"
        )
    start, doublings = side, 0
    while start > 7:
        start, doublings = start // 2, doublings + 1
    return start, doublings
