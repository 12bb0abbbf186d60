"""Constraints: what is done to the discriminator's parameters after each of its updates."""
