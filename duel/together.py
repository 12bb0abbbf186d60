"""What the other processes of a run do while the first one trains, logs and saves: the same steps.

The first one names the run folder once it is there; everything else they read from it.
"""

from __future__ import annotations

from collections.abc import Collection

from duel import ranks, run
from duel.errors import DataError, NonFiniteError
from duel.loop import follow as play_along
from duel.loop import resume
from duel.session import check


class Follower:
    """One of the other processes. `stop()` asks for the end of the run, as any of them may."""

    def __init__(self, allow_code: bool | Collection[str] = False) -> None:
        self._allow_code = allow_code
        self._stopping = False
        self._world = ranks.joined()

    def stop(self) -> None:
        """End after the step under way."""
        self._stopping = True

    def play(self) -> None:
        """Train along until the run ends; with nothing to do, return at once."""
        try:
            self._play()
        finally:
            self._world.leave()

    def _play(self) -> None:
        while place := self._world.told(""):
            found = run.Run(place, self._allow_code)
            recipe, state = found.recipe, found.state
            data = check(recipe)
            if data.fingerprint != found.provenance["data"]["fingerprint"]:
                raise DataError(
                    f"process {self._world.rank} finds other data than the run's: each machine needs the same"
                )
            halvings = state.get("halvings", 0)
            now = resume(recipe.slower(halvings), data, found, self._world)
            try:
                play_along(
                    recipe.slower(halvings), now, state["steps"], lambda: self._world.any(self._stopping)
                )
                return
            except NonFiniteError:
                if recipe.on_nonfinite != "rollback" or halvings >= recipe.max_rollbacks:
                    return
