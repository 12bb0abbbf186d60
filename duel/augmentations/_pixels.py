"""Images read at other places and in other colours, each image in its own way.

Everything is products, sums and gathers: so it can be differentiated any number of times, and what leaves
pixels in place leaves their values exactly (matrix products may round to fewer bits on a GPU).
"""

from __future__ import annotations

import torch
from torch import Tensor


def like(changed: Tensor, samples: Tensor) -> Tensor:
    """`changed` (N×C×H×W) with the type and the memory format of `samples`."""
    last = samples.is_contiguous(memory_format=torch.channels_last) and not samples.is_contiguous()
    return changed.to(samples.dtype, memory_format=torch.channels_last if last else torch.contiguous_format)


def pick(samples: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """samples[n, :, rows[n, y, x], columns[n, y, x]]: N×C×H×W for rows and columns N×H×W (int64).

    They may be N×H×1 and N×1×W.
    """
    places = rows * samples.shape[3] + columns
    picked = samples.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, samples.shape[1], -1))
    return picked.reshape(-1, samples.shape[1], *places.shape[1:])


def moved(samples: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Each image moved by whole pixels (int64 N); what comes in from outside is 0."""
    height, width = samples.shape[2:]
    rows = torch.arange(height, device=samples.device)[None, :, None] - down[:, None, None]
    columns = torch.arange(width, device=samples.device)[None, None, :] - right[:, None, None]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    seen = pick(samples, rows.clamp(0, height - 1), columns.clamp(0, width - 1))
    return like(seen.masked_fill(~inside[:, None], 0), samples)


def without_rectangle(samples: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """0 in a rectangle whose upper left corner (int64 N) may lie outside; the rest as it was."""
    rows = torch.arange(samples.shape[2], device=samples.device)[None, :, None] - top[:, None, None]
    columns = torch.arange(samples.shape[3], device=samples.device)[None, None, :] - left[:, None, None]
    hidden = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return torch.where(hidden[:, None], 0, samples)


def resample(samples: Tensor, matrices: Tensor) -> Tensor:
    """The images at the places that `matrices` (N×3×3) give for each pixel, bilinear, mirrored at the edges.

    They act on columns (x, y, 1) in pixels from the image's middle, x to the right and y down, and lead
    from where a pixel is written to where it is read. The mirrors are the middles of the outermost pixels.
    """
    height, width = samples.shape[2:]
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    x = torch.arange(width, device=samples.device)[None, None, :] - middle_x
    y = torch.arange(height, device=samples.device)[None, :, None] - middle_y
    (xx, xy, x1), (yx, yy, y1) = (row[:, :, None, None].unbind(1) for row in matrices[:, :2].unbind(1))
    left, right, to_right = _neighbours(xx * x + xy * y + x1 + middle_x, width)
    above, below, to_below = _neighbours(yx * x + yy * y + y1 + middle_y, height)
    upper = pick(samples, above, left) * (1 - to_right) + pick(samples, above, right) * to_right
    lower = pick(samples, below, left) * (1 - to_right) + pick(samples, below, right) * to_right
    return like(upper * (1 - to_below) + lower * to_below, samples)


def _neighbours(places: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels (int64 N×H×W) before and after each place on one axis, and the later's weight N×1×H×W."""
    last = size - 1
    inside = last - ((places % (2 * last)) - last).abs()
    before = inside.floor()
    index = before.long()
    return index, (index + 1).clamp(max=last), (inside - before)[:, None]


def recolour(samples: Tensor, matrices: Tensor) -> Tensor:
    """The images with `matrices` (N×(C+1)×(C+1)) applied to the column (channels, 1) of every pixel."""
    channels = samples.shape[1]
    rows = matrices[:, :channels, :, None, None]
    changed = rows[:, :, channels]
    for channel in range(channels):
        changed = changed + rows[:, :, channel] * samples[:, channel, None]
    return like(changed, samples)
