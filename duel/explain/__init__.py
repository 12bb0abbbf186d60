"""One training step of a very small GAN with every number: the from-scratch engine plays, this tells."""
