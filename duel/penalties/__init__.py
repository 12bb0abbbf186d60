"""Penalties: at which points the discriminator's gradient is looked at, and what its norm costs."""
