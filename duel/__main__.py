"""`python -m duel` is the command line."""

from duel.cli import main

main()
