"""Networks: one file an architecture, each building a generator and a discriminator."""
