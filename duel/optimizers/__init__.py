"""Optimizers: how a player's parameters follow its gradient."""
