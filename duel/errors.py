"""The tree of errors.

Every error that `duel` raises on purpose is a `DuelError` whose message is one sentence (or one line
per problem): what was given, what is allowed, what to do next. `exit_status` is what the command
line leaves with.
"""


class DuelError(Exception):
    """Something failed: exit status 1."""

    exit_status = 1


class InputError(DuelError):
    """The user's input is wrong: exit status 2. Nothing has been written."""

    exit_status = 2


class RecipeError(InputError):
    """A recipe, or a change to one, that does not fit: unknown name or field, wrong type, bad range."""


class DataError(InputError):
    """Data that are missing, unreadable or do not fit the recipe."""


class ChecksumError(DataError):
    """A file whose content is not what its publisher announced."""


class RunError(InputError):
    """A run folder that cannot be used as asked: not a run, another recipe's, not writable."""


class CheckpointError(DuelError):
    """A checkpoint that is damaged or was written by an incompatible version."""


class MetricError(InputError):
    """A metric that cannot be computed from these samples or this model."""


class GradientError(DuelError):
    """A gradient that numeric differences contradict."""


class NonFiniteError(DuelError):
    """A loss, gradient or weight became NaN or infinite during training.

    signal  the loss or tensor that was looked at, and its value; tensor: the first one that is no number
    step    when it was noticed; looked: how that came, ("every 10 steps")
    """

    def __init__(
        self, signal: str, value: float, step: int, tensor: "str | None", looked: "str | None" = None
    ) -> None:
        self.signal, self.value, self.step, self.tensor = signal, value, step, tensor
        what = f"{signal} is not finite" if signal == tensor else f"{signal} is {value}"
        also = f" (as is {tensor})" if tensor and signal != tensor else ""
        when = f"at step {step}" if looked is None else f"noticed at step {step} (looked at {looked})"
        super().__init__(
            f"{what}{also}, {when}: the training has diverged; lower optimizer.discriminator.lr and "
            "optimizer.generator.lr"
        )


def one_of(allowed: "list[str] | tuple[str, ...]", given: str) -> str:
    """The end of a sentence about a wrong name: the closest allowed name, then all of them."""
    import difflib

    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {listed(allowed) or 'none'}"


def listed(names: "list[str] | tuple[str, ...]") -> str:
    """Names with commas between them; one that has a comma itself is quoted, so that its end is seen."""
    return ", ".join(f"'{name}'" if "," in name else name for name in names)
