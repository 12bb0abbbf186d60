"""Games: which tuples the discriminator compares."""
