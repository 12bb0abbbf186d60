"""Long trials of what the fast suite can only touch: `make soak`, or `python -m soak --help` in tests/."""
