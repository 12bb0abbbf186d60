"""The command line: parse, call one public function, print. Nothing is computed here.

Heavy imports happen inside the commands, so that help and listings answer at once. The commands of a module
join the application as it is imported: the help lists them in that order.
"""

from duel.cli import training, judging, drawing, hub, studies, tracking, looking  # noqa: F401, I001
from duel.cli.entry import main

__all__ = ["main"]
