"""Objectives: what each player minimises, as a function of the logits alone."""
