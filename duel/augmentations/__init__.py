"""Augmentations: differentiable changes to every image that the discriminator sees, real and fake."""
